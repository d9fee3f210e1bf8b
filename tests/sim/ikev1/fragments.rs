//! Cisco's fragmentation, both ways.

use vpnd::sim::gateway_v1::impair::Impairment;

use super::*;

/// Both sides cut what is longer than they like.
fn cutting() -> Scene {
    let mut scene = with_group();
    scene.gateway.fragment = Some(100);
    scene.client.profile.fragmentation = Some(576);
    scene
}

#[test]
fn k1_026_fragments_are_put_together() {
    for mut scene in [cutting(), Scene { client: aggressive().client, ..cutting() }] {
        scene.gateway.pfs = None;
        scene.client.profile.child.offers[0].pfs.clear();
        let mut world = World::new(scene);
        assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
        assert_eq!(pings(&mut world, 3), 3);
    }
}

#[test]
fn k1_026_fragments_may_come_in_any_order_twice_and_with_others() {
    for impairment in [Impairment::FragmentsReversed, Impairment::FragmentsMixed, Impairment::Twice] {
        tolerates(cutting(), impairment);
    }
}

#[test]
fn k1_026_fragments_that_are_numbered_wrong_are_dropped() {
    refuses(cutting(), Impairment::FragmentZero, |_| true);
}

#[test]
fn k1_026_v_22_fragments_without_end_do_not_prevent_a_tunnel() {
    let mut world = impaired(cutting(), vec![Impairment::FragmentsEndless]);
    assert!(world.run_until_up(5 * MINUTE), "{:?}", story(&world));
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn k1_026_v_22_of_overlapping_fragments_the_first_is_taken_or_none() {
    let mut world = impaired(cutting(), vec![Impairment::FragmentsOverlapping]);
    world.run(MINUTE);
    world.gateway.settings_mut().impairments.clear();
    assert!(world.run_until_up(5 * MINUTE), "{:?}", story(&world));
}

#[test]
fn k1_026_the_client_cuts_what_is_long() {
    let mut scene = cutting();
    let ids = (1..40u8).map(|third| {
        vpnd::sa::selector::Selector::from_prefix(std::net::IpAddr::from([10, 251, third, 0]), 24).unwrap()
    });
    scene.client.profile.child.remote.extend(ids.take(1));
    scene.client.local_identity = vpnd::tunnel::settings::LocalIdentity::Fixed(vpnd::ike::identity::Identity::Fqdn(
        "a-name-that-is-long.".repeat(40) + "example",
    ));
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
    assert!(world.gateway.counts().fragments > 1, "nothing was cut");
    assert!(world.wire.iter().all(|(_, datagram)| datagram.octets.len() <= 576 - 28));
}
