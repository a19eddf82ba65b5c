use proptest::prelude::*;

use super::*;

fn error(text: &str) -> String {
    let error = text.parse::<PortSpec>().unwrap_err();
    format!("{error} | {}", error.hint.as_deref().unwrap_or_default())
}

#[test]
fn port_mistakes_are_named() {
    let all: Vec<String> = [
        "8080",
        "tcp:8080",
        "TCP:8080:80",
        "sctp:8080:80",
        "tcp:::1:8443:443",
        "tcp:[::1:8443:443",
        "tcp:[::1]:8443",
        "tcp:localhost:8443:443",
        "tcp:70000:80",
        "tcp:0:80",
        "tcp:80:-1",
        "tcp:a:b",
        "",
    ]
    .into_iter()
    .map(error)
    .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn ports_clash_as_the_vmm_sees_it() {
    let port = |text: &str| text.parse::<PortSpec>().unwrap();
    let clash =
        |a, b, default: Option<&str>| port(a).clashes_with(&port(b), default.map(|d| d.parse().unwrap()));
    assert!(clash("tcp:8080:80", "tcp:8080:81", None));
    assert!(!clash("tcp:8080:80", "udp:8080:80", None));
    assert!(!clash("tcp:127.0.0.1:8080:80", "tcp:192.0.2.1:8080:80", None));
    assert!(clash("tcp:0.0.0.0:8080:80", "tcp:192.0.2.1:8080:80", None));
    assert!(clash("tcp:[::]:8080:80", "tcp:192.0.2.1:8080:80", None));
    assert!(!clash("tcp:8080:80", "tcp:192.0.2.1:8080:80", None));
    assert!(clash("tcp:8080:80", "tcp:192.0.2.1:8080:80", Some("192.0.2.1")));
    assert!(port("tcp:127.0.0.1:8080:80").satisfies(&port("tcp:8080:80")));
    assert!(!port("tcp:127.0.0.1:8080:80").satisfies(&port("tcp:192.0.2.1:8080:80")));
}

#[test]
fn sizes() {
    assert_eq!(size("2G", SizeUnit::Mib), Ok(2048));
    assert_eq!(size("1.5 GiB", SizeUnit::Mib), Ok(1536));
    assert_eq!(size("2048", SizeUnit::Mib), Ok(2048));
    assert_eq!(size("1T", SizeUnit::Gib), Ok(1024));
    assert_eq!(size("4g", SizeUnit::Byte), Ok(4 << 30));
    let all: Vec<String> = ["", "G", "2.5", "1.", ".5G", "0.3M", "two", "2X", "-1G", "99999999999999999T"]
        .into_iter()
        .map(|text| size(text, SizeUnit::Mib).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(all.join("\n"));
    assert!(size("512M", SizeUnit::Gib).is_err());
}

#[test]
fn endpoints() {
    for good in
        ["unix:/run/vmm.sock", "unix:///run/vmm.sock", "http://[::1]:9080", "https://vmm.example.com/x"]
    {
        assert_eq!(check_endpoint(good), Ok(()));
    }
    let all: Vec<String> = [
        "unix:./vmm.sock",
        "unix:",
        "/run/vmm.sock",
        "127.0.0.1:9080",
        "ftp://vmm.example.com",
        "http://u:p@vmm.example.com",
        "http://::1:9080",
        "https://",
        "vsock://3:80",
    ]
    .into_iter()
    .map(|text| {
        let error = check_endpoint(text).unwrap_err();
        format!("{error} | {}", error.hint.as_deref().unwrap_or_default())
    })
    .collect();
    insta::assert_snapshot!(all.join("\n"));
}

fn some_address() -> impl Strategy<Value = Option<IpAddr>> {
    prop_oneof![
        Just(None),
        any::<[u8; 4]>().prop_map(|b| Some(IpAddr::from(b))),
        any::<[u8; 16]>().prop_map(|b| Some(IpAddr::from(b))),
    ]
}

proptest! {
    #[test]
    fn ports_print_and_parse(
        udp in any::<bool>(), host_address in some_address(), host_port in 1_u16.., vm_port in 1_u16..
    ) {
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        let port = PortSpec { protocol, host_address, host_port, vm_port };
        prop_assert_eq!(port.to_string().parse::<PortSpec>(), Ok(port.clone()));
        prop_assert_eq!(PortSpec::from_mapping(&port.to_mapping()), Ok(port));
    }

    #[test]
    fn no_text_panics(text in ".{0,40}") {
        let _ = text.parse::<PortSpec>();
        let _ = size(&text, SizeUnit::Gib);
        let _ = check_endpoint(&text);
    }
}
