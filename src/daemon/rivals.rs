//! What is said of other programs that change the host's routes beside a tunnel. Each is told once, and not without end.

use crate::os::plan::{HostSettings, Step};
use crate::os::watch::News;

/// So many are told.
const MOST: usize = 16;

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    told: Vec<News>,
    restored: usize,
}

impl Rivals {
    /// What to say of a route or rule that somebody else made; `None` where the tunnel is not concerned or it was said before.
    pub(super) fn made(&mut self, news: News, settings: &HostSettings) -> Option<String> {
        let text = match news {
            News::Removed => return None,
            News::Route { destination } => {
                let subnet = settings.covering(destination)?;
                format!(
                    "somebody made a route to {destination}, inside of the tunnel's subnet {subnet} (`ip route show {destination}`). \
                     It does not count: vpnd's routes are asked first"
                )
            }
            News::Rule { priority } => format!(
                "somebody made a routing rule that goes before vpnd's (`ip rule show pref {priority}`). Packets that it takes pass the tunnel \
                 by, unless nftables holds them back"
            ),
        };
        if self.told.len() >= MOST || self.told.contains(&news) {
            return None;
        }
        self.told.push(news);
        Some(text)
    }

    /// What to say of steps that somebody had taken back and that are in force again.
    pub(super) fn restored(&mut self, steps: &[Step]) -> Option<String> {
        let first = steps.first()?;
        self.restored = self.restored.saturating_add(1);
        let others = match steps.len() {
            1 => String::new(),
            count => format!(", and {} more", count.saturating_sub(1)),
        };
        (self.restored <= MOST).then(|| {
            format!(
                "somebody removed what vpnd had set, and it is set again: {first}{others}. systemd-networkd does this without \
                 `ManageForeignRoutingPolicyRules=no` and `ManageForeignRoutes=no`"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::plan::{DefaultRoute, KillSwitch, Routes};
    use crate::os::prefix::Prefix;
    use crate::sa::selector::Selector;

    fn prefix(last: u8, length: u8) -> Prefix {
        Prefix::new([10, 250, 0, last].into(), length).unwrap()
    }

    fn settings() -> HostSettings {
        HostSettings {
            device: "vpnd0".into(),
            configured: vec![Selector::from_prefix([10, 250, 0, 0].into(), 24).unwrap()],
            routes: Routes::Negotiated,
            default_route: DefaultRoute::Refused,
            kill_switch: KillSwitch::Off,
        }
    }

    #[test]
    fn v_55_a_route_inside_of_a_subnet_is_told_once_and_one_beside_it_never() {
        let mut rivals = Rivals::default();
        let inside = News::Route { destination: prefix(4, 30) };
        let text = rivals.made(inside, &settings()).unwrap();
        assert!(text.contains("10.250.0.4/30") && text.contains("10.250.0.0/24"), "{text}");
        assert_eq!(rivals.made(inside, &settings()), None);
        assert_eq!(rivals.made(News::Route { destination: prefix(0, 16) }, &settings()), None);
    }

    #[test]
    fn whoever_makes_routes_without_end_does_not_fill_the_log() {
        let mut rivals = Rivals::default();
        let told = (0..=255).filter_map(|last| rivals.made(News::Route { destination: prefix(last, 32) }, &settings()));
        assert_eq!(told.count(), MOST);
        let step = [Step::Close { destination: prefix(0, 24) }];
        assert_eq!((0..100).filter_map(|_| rivals.restored(&step)).count(), MOST);
        assert_eq!(rivals.restored(&[]), None);
    }
}
