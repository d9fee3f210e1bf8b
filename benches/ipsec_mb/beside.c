// AES-256-CBC with HMAC-SHA2-256 by Intel's ipsec-mb, as benches/batches.rs does it: batches of 64, one key. It reads "seal OCTETS" or
// "open OCTETS" and answers with the nanoseconds of one batch, so that its rounds come in turn with the others.
// cc -O2 -o beside beside.c -lIPSec_MB
#include <intel-ipsec-mb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PACKETS 64
#define BEFORE 24 // header and IV

static uint8_t packets[PACKETS][2048], tags[PACKETS][16];
static uint8_t forward[16 * 15] __attribute__((aligned(16))), backward[16 * 15] __attribute__((aligned(16)));
static uint8_t inner[32], outer[32];

static void one_half(IMB_MGR *manager, const uint8_t *key, uint8_t pad, uint8_t *state)
{
    uint8_t block[64];
    for (size_t n = 0; n < sizeof block; n++)
        block[n] = (n < 32 ? key[n] : 0) ^ pad;
    IMB_SHA256_ONE_BLOCK(manager, block, state);
}

static void batch(IMB_MGR *manager, int seal, size_t text)
{
    unsigned done = 0;
    for (unsigned n = 0; n < PACKETS; n++) {
        IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
        job->cipher_mode = IMB_CIPHER_CBC;
        job->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
        job->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
        job->hash_alg = IMB_AUTH_HMAC_SHA_256;
        job->enc_keys = forward;
        job->dec_keys = backward;
        job->key_len_in_bytes = 32;
        job->src = packets[n];
        job->dst = packets[n] + BEFORE;
        job->cipher_start_src_offset_in_bytes = BEFORE;
        job->msg_len_to_cipher_in_bytes = text;
        job->hash_start_src_offset_in_bytes = 0;
        job->msg_len_to_hash_in_bytes = BEFORE + text;
        job->iv = packets[n] + 8;
        job->iv_len_in_bytes = 16;
        job->auth_tag_output = tags[n];
        job->auth_tag_output_len_in_bytes = 16;
        job->u.HMAC._hashed_auth_key_xor_ipad = inner;
        job->u.HMAC._hashed_auth_key_xor_opad = outer;
        for (job = IMB_SUBMIT_JOB_NOCHECK(manager); job; job = IMB_GET_COMPLETED_JOB(manager))
            done++;
    }
    while (IMB_FLUSH_JOB(manager))
        done++;
    if (done != PACKETS)
        exit(2);
}

int main(void)
{
    IMB_MGR *manager = alloc_mb_mgr(0);
    if (!manager)
        return 1;
    init_mb_mgr_auto(manager, NULL);
    uint8_t key[32];
    memset(key, 3, sizeof key);
    IMB_AES_KEYEXP_256(manager, key, forward, backward);
    memset(key, 9, sizeof key);
    one_half(manager, key, 0x36, inner);
    one_half(manager, key, 0x5c, outer);
    char verb[8];
    size_t octets;
    while (scanf("%7s %zu", verb, &octets) == 2 && octets <= 1900) {
        size_t text = (octets + 2 + 15) & ~(size_t)15;
        struct timespec begun, ended;
        batch(manager, strcmp(verb, "seal") == 0, text); // what others left in the caches is not to be measured
        clock_gettime(CLOCK_MONOTONIC, &begun);
        batch(manager, strcmp(verb, "seal") == 0, text);
        clock_gettime(CLOCK_MONOTONIC, &ended);
        printf("%lld\n", (ended.tv_sec - begun.tv_sec) * 1000000000LL + (ended.tv_nsec - begun.tv_nsec));
        fflush(stdout);
    }
    free_mb_mgr(manager);
    return 0;
}
