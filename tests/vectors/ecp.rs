//! RFC 5903 §8.

use vpnd::crypto::dh::Group;

use crate::{agrees_as_given, hex};

struct Exchange {
    group: Group,
    i: &'static str,
    gi: [&'static str; 2],
    r: &'static str,
    gr: [&'static str; 2],
    girx: &'static str,
}

const EXCHANGES: [Exchange; 3] = [
    Exchange {
        group: Group::Ecp256,
        i: "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
        gi: [
            "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180",
            "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
        ],
        r: "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
        gr: [
            "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63",
            "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
        ],
        girx: "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
    },
    Exchange {
        group: Group::Ecp384,
        i: "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194",
        gi: [
            "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa",
            "9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
        ],
        r: "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc",
        gr: [
            "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571",
            "dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
        ],
        girx: "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746",
    },
    Exchange {
        group: Group::Ecp521,
        i: "\
            0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa85a30fe1c2952c6771d937ba9777\
            f5957b2639bab072462f68c27a57382d4a52",
        gi: [
            "\
            0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3bf42e00b8e380aeae57c2d107564\
            941885942af5a7f4601723c4195d176ced3e",
            "\
            017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4a10ad8a788015ac405d7799dc75e7b7d5b6c\
            f2261a6a7f1507438bf01beb6ca3926f9582",
        ],
        r: "\
            0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e9c677d600b343757a3bdbf2a3163e4c2\
            f869cca7458aa4a4effc311f5cb151685eb9",
        gr: [
            "\
            00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97c356436adc6e95bb0352f6be64a6\
            c2912d4ef2d0433ced2b6171640012d9460f",
            "\
            015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d9852077b87220b6536c5c408a1d2aebb8e86d678ae\
            49cb57091f4732296579ab44fcd17f0fc56a",
        ],
        girx: "\
            01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4baa240a34786859810c06\
            b3c715a3a8cc3151f2bee417996d19f3ddea",
    },
];

#[test]
fn the_key_exchanges_of_rfc_5903() {
    for exchange in EXCHANGES {
        let (gi, gr) = (hex(&exchange.gi.concat()), hex(&exchange.gr.concat()));
        let (public, shared) = agrees_as_given(exchange.group, &hex(exchange.i), &gr);
        assert_eq!((public, shared.unwrap()), (gi.clone(), hex(exchange.girx)));
        let (public, shared) = agrees_as_given(exchange.group, &hex(exchange.r), &gi);
        assert_eq!((public, shared.unwrap()), (gr, hex(exchange.girx)));
    }
}

#[test]
fn c_03_a_point_off_the_curve_is_invalid() {
    for exchange in EXCHANGES {
        let gr = hex(&exchange.gr.concat());
        for octet in [0, gr.len() / 2 - 1, gr.len() / 2, gr.len() - 1] {
            for bit in 0..8 {
                let mut off = gr.clone();
                off[octet] ^= 1 << bit;
                assert!(agrees_as_given(exchange.group, &hex(exchange.i), &off).1.is_err());
            }
        }
        // (0, 0) is how infinity is written without a format octet.
        assert!(agrees_as_given(exchange.group, &hex(exchange.i), &vec![0; gr.len()]).1.is_err());
    }
}

/// RFC 5903 §3.1 to §3.3.
const PRIMES: [(Group, &str); 3] = [
    (Group::Ecp256, "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
    (Group::Ecp384, "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff"),
    (
        Group::Ecp521,
        "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
         ffffffffffffffffffffffffffffffffff",
    ),
];

#[test]
fn c_03_a_coordinate_not_below_the_prime_is_invalid() {
    use num_bigint::BigUint;
    for ((group, prime), exchange) in PRIMES.into_iter().zip(EXCHANGES) {
        let field = hex(prime).len();
        let prime = BigUint::from_bytes_be(&hex(prime));
        let written = |x: &BigUint, y: &BigUint| {
            let octets = |n: &BigUint| [vec![0; field - n.to_bytes_be().len()], n.to_bytes_be()].concat();
            [octets(x), octets(y)].concat()
        };
        // The curve's points with a small x: y² = x³ - 3x + b, b from a known point; the exponent (p + 1) / 4 takes the root, as p = 3 modulo 4.
        let [gx, gy] = exchange.gi.map(|n| BigUint::from_bytes_be(&hex(n)));
        let right = |x: &BigUint| (x.pow(3) + (&prime - 3u8) * x) % &prime;
        let b = (gy.pow(2) + &prime - right(&gx)) % &prime;
        let mut checked = 0;
        for x in 0..40u8 {
            let x = BigUint::from(x);
            let square = (right(&x) + &b) % &prime;
            let y = square.modpow(&((&prime + 1u8) / 4u8), &prime);
            if y.pow(2) % &prime != square {
                continue;
            }
            let i = hex(exchange.i);
            assert!(agrees_as_given(group, &i, &written(&x, &y)).1.is_ok());
            if (&x + &prime).bits() <= (field * 8) as u64 {
                assert!(agrees_as_given(group, &i, &written(&(&x + &prime), &y)).1.is_err());
                checked += 1;
            }
        }
        assert!(checked > 5, "{group:?}");
    }
}
