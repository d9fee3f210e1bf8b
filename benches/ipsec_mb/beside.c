// What benches/batches.rs times, by Intel's ipsec-mb: batches of 64 packets, one key. It reads lines like "aes256-sha256 seal 1400" and answers
// with the nanoseconds of one batch, so that its rounds come in turn with the others; of a suite it does not know, with 0.
// cc -O2 -o beside beside.c -lIPSec_MB
#include <intel-ipsec-mb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PACKETS 64
#define HEADER 8

static uint8_t packets[PACKETS][2048], tags[PACKETS][16];
static uint8_t forward[16 * 15] __attribute__((aligned(16))), backward[16 * 15] __attribute__((aligned(16)));
static uint8_t inner[32], outer[32], key[32];
static struct gcm_key_data gcm_key __attribute__((aligned(64)));
static struct gcm_context_data gcm_context;

static void one_half(IMB_MGR *manager, uint8_t pad, uint8_t *state)
{
    uint8_t block[64];
    for (size_t n = 0; n < sizeof block; n++)
        block[n] = (n < 32 ? 9 : 0) ^ pad;
    IMB_SHA256_ONE_BLOCK(manager, block, state);
}

static void cbc(IMB_JOB *job, int seal, uint8_t *packet, size_t text)
{
    const size_t before = HEADER + 16;
    job->cipher_mode = IMB_CIPHER_CBC;
    job->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_HMAC_SHA_256;
    job->enc_keys = forward;
    job->dec_keys = backward;
    job->dst = packet + before;
    job->cipher_start_src_offset_in_bytes = before;
    job->msg_len_to_cipher_in_bytes = text;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = before + text;
    job->iv = packet + HEADER;
    job->iv_len_in_bytes = 16;
    job->u.HMAC._hashed_auth_key_xor_ipad = inner;
    job->u.HMAC._hashed_auth_key_xor_opad = outer;
}

static void chacha(IMB_JOB *job, int seal, uint8_t *packet, size_t text)
{
    const size_t before = HEADER + 8;
    job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    job->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    job->enc_keys = job->dec_keys = key;
    job->dst = packet + before;
    job->cipher_start_src_offset_in_bytes = before;
    job->msg_len_to_cipher_in_bytes = text;
    job->hash_start_src_offset_in_bytes = before;
    job->msg_len_to_hash_in_bytes = text;
    job->iv = packet + 4;
    job->iv_len_in_bytes = 12;
    job->u.CHACHA20_POLY1305.aad = packet;
    job->u.CHACHA20_POLY1305.aad_len_in_bytes = HEADER;
}

static void by_jobs(IMB_MGR *manager, void (*fill)(IMB_JOB *, int, uint8_t *, size_t), int seal, size_t text)
{
    unsigned done = 0;
    for (unsigned n = 0; n < PACKETS; n++) {
        IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
        fill(job, seal, packets[n], text);
        job->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
        job->key_len_in_bytes = 32;
        job->src = packets[n];
        job->auth_tag_output = tags[n];
        job->auth_tag_output_len_in_bytes = 16;
        for (job = IMB_SUBMIT_JOB_NOCHECK(manager); job; job = IMB_GET_COMPLETED_JOB(manager))
            done++;
    }
    while (IMB_FLUSH_JOB(manager))
        done++;
    if (done != PACKETS)
        exit(2);
}

// GCM has nothing to gain from jobs: each packet by the direct call, the fastest that the library has.
static void gcm(IMB_MGR *manager, int bits, int seal, size_t text)
{
    for (unsigned n = 0; n < PACKETS; n++) {
        uint8_t *at = packets[n] + HEADER + 8, *iv = packets[n] + 4;
        if (bits == 128 && seal)
            IMB_AES128_GCM_ENC(manager, &gcm_key, &gcm_context, at, at, text, iv, packets[n], HEADER, tags[n], 16);
        else if (bits == 128)
            IMB_AES128_GCM_DEC(manager, &gcm_key, &gcm_context, at, at, text, iv, packets[n], HEADER, tags[n], 16);
        else if (seal)
            IMB_AES256_GCM_ENC(manager, &gcm_key, &gcm_context, at, at, text, iv, packets[n], HEADER, tags[n], 16);
        else
            IMB_AES256_GCM_DEC(manager, &gcm_key, &gcm_context, at, at, text, iv, packets[n], HEADER, tags[n], 16);
    }
}

static int batch(IMB_MGR *manager, const char *suite, int seal, size_t octets)
{
    if (strcmp(suite, "aes256-sha256") == 0)
        by_jobs(manager, cbc, seal, (octets + 2 + 15) & ~(size_t)15);
    else if (strcmp(suite, "chacha20poly1305") == 0)
        by_jobs(manager, chacha, seal, (octets + 2 + 3) & ~(size_t)3);
    else if (strcmp(suite, "aes128gcm16") == 0)
        gcm(manager, 128, seal, (octets + 2 + 3) & ~(size_t)3);
    else if (strcmp(suite, "aes256gcm16") == 0)
        gcm(manager, 256, seal, (octets + 2 + 3) & ~(size_t)3);
    else
        return 0;
    return 1;
}

int main(void)
{
    IMB_MGR *manager = alloc_mb_mgr(0);
    if (!manager)
        return 1;
    init_mb_mgr_auto(manager, NULL);
    memset(key, 3, sizeof key);
    IMB_AES_KEYEXP_256(manager, key, forward, backward);
    one_half(manager, 0x36, inner);
    one_half(manager, 0x5c, outer);
    char suite[24], verb[8];
    size_t octets;
    while (scanf("%23s %7s %zu", suite, verb, &octets) == 3 && octets <= 1900) {
        int seal = strcmp(verb, "seal") == 0;
        if (strcmp(suite, "aes128gcm16") == 0)
            IMB_AES128_GCM_PRE(manager, key, &gcm_key);
        else
            IMB_AES256_GCM_PRE(manager, key, &gcm_key);
        struct timespec begun, ended;
        if (!batch(manager, suite, seal, octets)) { // once before: what others left in the caches is not to be measured
            puts("0");
            fflush(stdout);
            continue;
        }
        clock_gettime(CLOCK_MONOTONIC, &begun);
        batch(manager, suite, seal, octets);
        clock_gettime(CLOCK_MONOTONIC, &ended);
        printf("%lld\n", (ended.tv_sec - begun.tv_sec) * 1000000000LL + (ended.tv_nsec - begun.tv_nsec));
        fflush(stdout);
    }
    free_mb_mgr(manager);
    return 0;
}
