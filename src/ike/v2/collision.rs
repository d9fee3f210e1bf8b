//! What a peer's request means when one of ours is under way (RFC 7296 §2.8, §2.25), as a table; and which of two new SAs stays.
//! It knows kinds of requests and nonces; it knows no state and no message.

use crate::ike::action::Side;
use crate::ike::v2::message::Nonce;

/// What of ours the peer has not answered yet. A question for a sign of life is `Nothing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ours {
    Nothing,
    /// A child is made or rekeyed.
    MakeChild,
    DeleteChild,
    RekeyIke,
    DeleteIke,
}

/// What the peer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    NewChild,
    RekeyChild(Target),
    DeleteChild(Target),
    RekeyIke,
}

/// The child SA that the peer's request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// It stands, and no request of ours is about it.
    Standing,
    /// We are rekeying it.
    Rekeying,
    /// We are deleting it.
    Deleting,
    /// There is none of that name.
    Unknown,
}

/// How the request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As if nothing of ours was under way.
    AsUsual,
    /// As usual; when our own answer is there, one of the two new SAs goes.
    AsUsualAndCompare,
    /// TEMPORARY_FAILURE.
    Later,
    /// CHILD_SA_NOT_FOUND.
    NotFound,
    /// The answer to a DELETE without a Delete payload.
    WithoutDelete,
}

/// RFC 7296 §2.25.1 and §2.25.2.
pub(super) const fn verdict(ours: Ours, asked: Asked) -> Verdict {
    match (asked, ours) {
        (Asked::DeleteChild(Target::Deleting | Target::Unknown), _) => Verdict::WithoutDelete,
        (Asked::DeleteChild(Target::Standing | Target::Rekeying), _) => Verdict::AsUsual,
        // Whoever replaces or closes the IKE SA makes no child under it.
        (Asked::NewChild | Asked::RekeyChild(_), Ours::RekeyIke | Ours::DeleteIke) => Verdict::Later,
        (Asked::RekeyChild(Target::Unknown), _) => Verdict::NotFound,
        (Asked::RekeyChild(Target::Deleting), _) => Verdict::Later,
        (Asked::RekeyChild(Target::Rekeying), _) => Verdict::AsUsualAndCompare,
        (Asked::RekeyChild(Target::Standing) | Asked::NewChild, _) => Verdict::AsUsual,
        (Asked::RekeyIke, Ours::Nothing) => Verdict::AsUsual,
        (Asked::RekeyIke, Ours::RekeyIke) => Verdict::AsUsualAndCompare,
        (Asked::RekeyIke, Ours::MakeChild | Ours::DeleteChild | Ours::DeleteIke) => Verdict::Later,
    }
}

/// Whose new SA stays when both made one (RFC 7296 §2.8.1, §2.8.2): of the four nonces the lowest, octet by octet, is of the SA that goes.
pub(super) fn survivor(ours: [&Nonce; 2], theirs: [&Nonce; 2]) -> Side {
    let lowest = |nonces: [&Nonce; 2]| nonces.map(Nonce::octets).into_iter().min().map(<[u8]>::to_vec);
    if lowest(ours) < lowest(theirs) { Side::Peer } else { Side::Us }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k2_127_every_collision_is_answered_as_the_rfc_says() {
        use Target::{Deleting, Rekeying, Standing, Unknown};
        use Verdict::{AsUsual, AsUsualAndCompare, Later, NotFound, WithoutDelete};
        let asked = [
            Asked::NewChild,
            Asked::RekeyChild(Standing),
            Asked::RekeyChild(Rekeying),
            Asked::RekeyChild(Deleting),
            Asked::RekeyChild(Unknown),
            Asked::DeleteChild(Standing),
            Asked::DeleteChild(Rekeying),
            Asked::DeleteChild(Deleting),
            Asked::DeleteChild(Unknown),
            Asked::RekeyIke,
        ];
        let child = [AsUsual, AsUsual, AsUsualAndCompare, Later, NotFound];
        let ike = [Later; 5];
        let delete = [AsUsual, AsUsual, WithoutDelete, WithoutDelete];
        let table = [
            (Ours::Nothing, child, AsUsual),
            (Ours::MakeChild, child, Later),
            (Ours::DeleteChild, child, Later),
            (Ours::RekeyIke, ike, AsUsualAndCompare),
            (Ours::DeleteIke, ike, Later),
        ];
        for (ours, make, rekey_ike) in table {
            let row: Vec<Verdict> = make.into_iter().chain(delete).chain([rekey_ike]).collect();
            let seen = asked.map(|asked| verdict(ours, asked));
            assert_eq!(seen.to_vec(), row, "{ours:?}");
        }
    }

    fn nonce(first: u8, len: usize) -> Nonce {
        let mut octets = vec![0x80; len];
        octets[0] = first;
        Nonce::new(octets).unwrap()
    }

    #[test]
    fn k2_123_whoever_made_the_sa_with_the_lowest_of_four_nonces_deletes_it() {
        let [a, b, c, d] = [1, 2, 3, 4].map(|first| nonce(first, 32));
        for (ours, theirs, stays) in [
            ([&a, &b], [&c, &d], Side::Peer),
            ([&b, &a], [&d, &c], Side::Peer),
            ([&c, &d], [&a, &b], Side::Us),
            ([&d, &c], [&b, &a], Side::Us),
            ([&a, &d], [&b, &c], Side::Peer),
            ([&d, &b], [&a, &c], Side::Us),
        ] {
            assert_eq!(survivor(ours, theirs), stays);
            let other = if stays == Side::Us { Side::Peer } else { Side::Us };
            assert_eq!(survivor(theirs, ours), other, "both sides see it alike");
        }
    }

    #[test]
    fn k2_123_nonces_are_compared_as_octets_and_the_end_of_one_makes_it_the_lower() {
        let (short, long) = (nonce(9, 16), nonce(9, 32));
        let high = nonce(200, 16);
        assert_eq!(survivor([&short, &high], [&long, &high]), Side::Peer);
        let (small, large) = (nonce(10, 16), nonce(9, 256));
        assert_eq!(survivor([&small, &high], [&large, &high]), Side::Us, "not as numbers");
    }
}
