//! The word somebody probably meant. It knows letters only.

/// The candidate that is fewest edits away from `word`, if it is near enough to be worth suggesting. The first of equals wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(LONGEST).flat_map(char::to_lowercase).collect();
    let allowed = match word.len() {
        0 => return None,
        1..=3 => 1,
        4..=7 => 2,
        _ => 3,
    };
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.chars().take(LONGEST).collect();
        let edits = edits(&word, &letters);
        if edits <= allowed && edits < letters.len() && best.is_none_or(|(fewest, _)| edits < fewest) {
            best = Some((edits, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

const LONGEST: usize = 64;

/// Insertions, deletions, replacements and swaps of neighbours.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, letter) in from.iter().enumerate() {
        let mut current = vec![row.saturating_add(1)];
        let mut left = row.saturating_add(1);
        let mut previous_target = None;
        for (column, target) in to.iter().enumerate() {
            let at = |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX);
            let diagonal = at(&above, column);
            let mut cost = if letter == target { diagonal } else { diagonal.saturating_add(1) };
            cost = cost.min(left.saturating_add(1)).min(at(&above, column.saturating_add(1)).saturating_add(1));
            if previous == Some(target) && previous_target == Some(letter) && column > 0 {
                cost = cost.min(at(&before, column.saturating_sub(1)).saturating_add(1));
            }
            current.push(cost);
            left = cost;
            previous_target = Some(target);
        }
        previous = Some(letter);
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let words = ["address", "subnets", "psk_file", "psk_env", "port", "id"];
        for (typed, meant) in [
            ("adress", Some("address")),
            ("subent", Some("subnets")),
            ("psk_fiel", Some("psk_file")),
            ("prot", Some("port")),
            ("Address", Some("address")),
            ("ids", Some("id")),
            ("banana", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, words), meant, "{typed}");
        }
    }

    #[test]
    fn a_swap_of_neighbours_is_one_edit() {
        let letters = |word: &str| word.chars().collect::<Vec<_>>();
        assert_eq!(super::edits(&letters("prot"), &letters("port")), 1);
        assert_eq!(super::edits(&letters(""), &letters("port")), 4);
        assert_eq!(super::edits(&letters("kitten"), &letters("sitting")), 3);
    }
}
