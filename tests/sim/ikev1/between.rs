//! XAUTH and Mode Config.

use std::net::IpAddr;

use vpnd::ike::action::Failure;
use vpnd::sim::gateway_v1::impair::{Deed, Impairment};
use vpnd::sim::gateway_v1::octets::Attribute;
use vpnd::sim::gateway_v1::registry::attribute;
use vpnd::tunnel::progress::Progress;

use super::*;

#[test]
fn k1_023_name_and_password_let_the_client_in() {
    let mut world = World::new(with_name());
    assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
    assert_eq!(world.gateway.counts().xauth, (1, 0));
    assert!(world.told().iter().any(|it| matches!(it, Progress::UserAccepted { user } if user == scene::USER)));
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn k1_023_xauth_works_behind_aggressive_mode_too() {
    let mut scene = with_name();
    scene.client = scene::client_v1(quick(), Phase1Mode::Aggressive, true);
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
    assert_eq!(world.gateway.counts().xauth, (1, 0));
    assert_eq!(pings(&mut world, 3), 3);
}

#[test]
fn k1_023_a_refused_name_is_said() {
    refuses(with_name(), Impairment::XauthFails, |failure| matches!(failure, Failure::XauthRefused { .. }));
}

#[test]
fn k1_023_xauth_without_a_configured_name_is_said() {
    refuses(plain(), Impairment::UninvitedXauth, |failure| matches!(failure, Failure::XauthWanted));
}

#[test]
fn k1_023_a_message_and_questions_one_by_one_are_answered() {
    for one_by_one in [false, true] {
        let mut scene = with_name();
        let account = scene.gateway.xauth.as_mut().unwrap();
        account.message = Some(b"Hello \x1b[31m$(reboot)\n".to_vec());
        account.one_by_one = one_by_one;
        let mut world = World::new(scene);
        assert!(world.run_until_up(MINUTE), "{one_by_one}: {:?}", story(&world));
    }
}

#[test]
fn k1_023_unknown_questions_break_nothing() {
    for kind in [16523, 16525, 16526, 16528, 16529, 16600, 30000] {
        let asked = vec![Attribute::long(kind, b"\xff\x00?")];
        let mut world = impaired(with_name(), vec![Impairment::XauthAsks(asked)]);
        world.run(MINUTE);
        world.gateway.settings_mut().impairments.clear();
        assert!(world.run_until_up(5 * MINUTE), "attribute {kind}");
    }
}

#[test]
fn k1_022_addresses_may_be_pushed() {
    for mut scene in [plain(), with_name(), aggressive()] {
        scene.gateway.push = true;
        let mut world = World::new(scene);
        assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
        world.run(Duration::from_secs(1));
        assert!(world.gateway.counts().acknowledged > 0);
        assert_eq!(world.client.inner_addresses()[0], IpAddr::from([10, 200, 0, 7]));
        assert_eq!(pings(&mut world, 3), 3);
    }
}

#[test]
fn k1_022_a_later_set_is_acknowledged() {
    let attributes =
        vec![Attribute::long(attribute::UNITY_BANNER, b"hello"), Attribute::short(attribute::UNITY_PFS, 0)];
    let mut world = up_then(plain(), Deed::Push(attributes));
    world.run(MINUTE);
    assert!(world.client.is_up());
    assert_eq!(world.gateway.counts().acknowledged, 1);
}

#[test]
fn k1_022_a_gateway_that_gives_no_address_is_named() {
    refuses(plain(), Impairment::NoConfiguration, |failure| {
        matches!(failure, Failure::AddressRefused { .. } | Failure::NoAnswer { .. })
    });
}

#[test]
fn k1_022_an_answer_to_another_question_is_none() {
    refuses(plain(), Impairment::WrongIdentifier, |_| true);
    refuses(plain(), Impairment::WrongTransactionHash, |_| true);
}

#[test]
fn k1_022_unusable_addresses_are_refused() {
    let given: [&[u8]; 8] = [
        &[127, 0, 0, 1],
        &[0, 0, 0, 0],
        &[224, 0, 0, 1],
        &[255, 255, 255, 255],
        &[192, 0, 2, 1],
        &[10, 200, 0],
        &[10, 200, 0, 7, 1],
        &[],
    ];
    for octets in given {
        let attributes = vec![Attribute::long(attribute::IP4_ADDRESS, octets)];
        refuses(plain(), Impairment::Configures(attributes), |failure| {
            matches!(failure, Failure::AddressRefused { .. })
        });
    }
    refuses(plain(), Impairment::Configures(vec![]), |failure| matches!(failure, Failure::AddressRefused { .. }));
}

#[test]
fn k1_022_v_26_hostile_text_harms_nothing() {
    let hostile = b"$(reboot);\n\x1b]0;x\x07%n%s\0`id`";
    let kinds = [attribute::UNITY_BANNER, attribute::UNITY_DEF_DOMAIN, 7, 28675, 28679, 4, 20, 25, 16384, 32767];
    for length in [0, 1, 7, hostile.len(), 600] {
        let text: Vec<u8> = hostile.iter().cycle().copied().take(length).collect();
        let mut scene = plain();
        scene.gateway.attributes = kinds.iter().take(6).map(|kind| Attribute::long(*kind, &text)).collect();
        let mut world = World::new(scene);
        assert!(world.run_until_up(MINUTE), "{length} octets: {:?}", story(&world));
        assert_eq!(pings(&mut world, 2), 2);
    }
}

#[test]
fn k1_022_split_networks_and_name_servers_are_read() {
    let mut scene = plain();
    scene.gateway.attributes = vec![
        Attribute::long(attribute::IP4_DNS, &[10, 250, 0, 53]),
        Attribute::long(attribute::UNITY_DEF_DOMAIN, b"example.com"),
        Attribute::long(attribute::UNITY_SPLIT_INCLUDE, &[10, 250, 0, 0, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0]),
    ];
    let mut world = World::new(scene);
    assert!(world.run_until_up(MINUTE), "{:?}", story(&world));
    let children = world.client.tunnel().status().children;
    let configuration = &children[0].configuration;
    assert_eq!(configuration.dns, [IpAddr::from([10, 250, 0, 53])]);
    assert_eq!(configuration.domains, ["example.com"]);
    assert_eq!(configuration.subnets, [(IpAddr::from([10, 250, 0, 0]), 24)]);
}

#[test]
fn k1_023_xauth_may_come_again() {
    ignores(with_name(), Deed::XauthAgain);
    let mut world = up_then(plain(), Deed::XauthAgain);
    world.run(5 * MINUTE);
    assert!(world.client.is_up(), "{:?}", failures(&world));
}
