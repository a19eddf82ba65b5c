//! The services a host points its guests to, and the devices it gives them.

use std::net::IpAddr;

use dstack_check::{CheckDef, Finding, Fix};

use super::Input;
use crate::config::tree::Node;
use crate::config::{ConfigValue, key_def};

/// The context id of the host (vsock(7)).
const HOST_CID: u32 = 2;
/// Any context id of this machine (vsock(7)).
const ANY_CID: u32 = u32::MAX;

fn is_default(input: &Input<'_>, path: &str) -> bool {
    let default = key_def(path).and_then(ConfigValue::default_of);
    input.entry(path).is_none_or(|entry| ConfigValue::from_node(&entry.node) == default)
}

/// The host of an `http` or `https` URL, or `None` for another text.
fn url_host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn no_url(check: &CheckDef, input: &Input<'_>, path: &str) -> Finding {
    let finding = check
        .fail()
        .observed(format!("{path} is no URL"))
        .expected("https://HOST:PORT")
        .fix(Fix::new("write the whole URL, with https:// in front"));
    input.cite(finding, path)
}

pub(super) fn kms_url(check: &CheckDef, input: &Input<'_>) -> Finding {
    let (url, urls) = (&input.config.kms_url, &input.config.cvm.kms_urls);
    if !url.is_empty() && url_host(url).is_none() {
        return no_url(check, input, "kms_url");
    }
    if urls.iter().any(|url| url_host(url).is_none()) {
        return no_url(check, input, "cvm.kms_urls");
    }
    let elsewhere = !is_default(input, "cvm.kms_urls") && !urls.is_empty();
    if !is_default(input, "kms_url") {
        return check.pass();
    }
    let finding = if elsewhere {
        check
            .fail()
            .observed("guests use another KMS than clients get environment keys from")
            .expected("the address of the same KMS, as this host reaches it")
            .fix(
                Fix::new("name the KMS of the guests")
                    .command(input.set_command("kms_url", urls.first().map_or("", String::as_str))),
            )
    } else {
        check
            .warn()
            .observed("the default stands, where usually nothing listens")
            .expected("the KMS of this host, or an empty text for none")
            .fix(
                Fix::new("set kms_url to the KMS once there is one; where there will be none, say so")
                    .command(input.set_command("kms_url", "")),
            )
    };
    input.cite(input.cite(finding, "kms_url"), "cvm.kms_urls")
}

pub(super) fn gateway_urls(check: &CheckDef, input: &Input<'_>) -> Finding {
    const KEY: &str = "cvm.gateway_urls";
    let urls = &input.config.cvm.gateway_urls;
    // The older name sets the same list.
    let older = input.is_set("cvm.tproxy_urls") && !input.is_set(KEY);
    if urls.iter().any(|url| url_host(url).is_none()) {
        return no_url(check, input, if older { "cvm.tproxy_urls" } else { KEY });
    }
    if older || !is_default(input, KEY) {
        return check.pass();
    }
    let finding = check
        .warn()
        .observed("guests look for the gateway at 127.0.0.1:8082, which is the guest itself")
        .expected("the gateway's RPC address, or an empty list for none")
        .fix(
            Fix::new(
                "set cvm.gateway_urls to the gateway once there is one; where there will be none, say so",
            )
            .command(input.set_command(KEY, "")),
        );
    input.cite(finding, KEY)
}

pub(super) fn gateway_domain(check: &CheckDef, input: &Input<'_>) -> Finding {
    const KEY: &str = "gateway.base_domain";
    let domain = input.config.gateway.base_domain.as_str();
    let fix = || Fix::new("set gateway.base_domain to the domain the gateway has a certificate for");
    if domain.contains("://") || domain.contains(['/', ':', ' ', '*']) {
        let finding = check
            .fail()
            .observed("the domain has parts that belong to a URL")
            .expected("a bare domain, such as dstack.example.com")
            .fix(fix());
        return input.cite(finding, KEY);
    }
    if input.config.cvm.gateway_urls.is_empty() {
        return check.not_applicable();
    }
    if domain.is_empty()
        || domain == "localhost"
        || domain.contains("yourdomain")
        || domain.contains("your-domain")
    {
        let finding = check
            .warn()
            .observed("app URLs are built from a domain that does not exist")
            .expected("the domain the gateway serves")
            .fix(fix());
        return input.cite(finding, KEY);
    }
    check.pass().observed(domain.to_owned())
}

pub(super) fn pccs_url(check: &CheckDef, input: &Input<'_>) -> Finding {
    const KEY: &str = "cvm.pccs_url";
    let url = input.config.cvm.pccs_url.as_str();
    if url.is_empty() {
        let finding = check
            .warn()
            .observed("guests have no PCCS")
            .expected("the address of a PCCS, such as https://pccs.example.com/sgx/certification/v4")
            .fix(Fix::new("set cvm.pccs_url to a PCCS that guests reach"));
        return input.cite(finding, KEY);
    }
    match url_host(url) {
        None => no_url(check, input, KEY),
        Some(host) if is_loopback(host) => {
            let finding = check
                .warn()
                .observed("inside a guest this address is the guest itself")
                .expected("an address of the PCCS that guests reach")
                .fix(Fix::new(
                    "name the PCCS as guests see it; in user mode networking the host is 10.0.2.2",
                ));
            input.cite(finding, KEY)
        }
        Some(_) => check.pass(),
    }
}

pub(super) fn networking(check: &CheckDef, input: &Input<'_>) -> Finding {
    const KEY: &str = "cvm.networking.mode";
    if let Some(Node::Text(mode)) = input.entry(KEY).map(|entry| &entry.node)
        && !["user", "bridge", "custom"].contains(&mode.as_str())
    {
        let finding = check
            .fail()
            .observed("the VMM does not start with this mode")
            .expected("user, bridge or custom")
            .fix(Fix::new("choose a mode that exists").command(input.set_command(KEY, "user")));
        return input.cite(finding, KEY);
    }
    let networking = &input.config.cvm.networking;
    let missing = match networking.mode.as_str() {
        "bridge" if networking.bridge.is_empty() => "cvm.networking.bridge",
        "custom" if networking.netdev.is_empty() => "cvm.networking.netdev",
        mode => return check.pass().observed(mode.to_owned()),
    };
    let finding = check
        .fail()
        .observed(format!("{} mode without {missing}: no VM starts", networking.mode))
        .expected(format!("a value for {missing}"))
        .fix(Fix::new("say which device the VMs use, or choose user mode"));
    input.cite(input.cite(finding, KEY), missing)
}

pub(super) fn host_api(check: &CheckDef, input: &Input<'_>) -> Finding {
    const KEY: &str = "host_api.address";
    let fix = || Fix::new("let the host API listen for guests").command(input.set_command(KEY, "vsock:2"));
    let cid = input.config.host_api.address.strip_prefix("vsock:").map(str::parse::<u32>);
    match cid {
        Some(Ok(HOST_CID | ANY_CID)) => check.pass(),
        Some(Ok(_)) => {
            let finding = check
                .warn()
                .observed("guests call context id 2, which is the host")
                .expected("vsock:2")
                .fix(fix());
            input.cite(finding, KEY)
        }
        _ => {
            let finding =
                check.fail().observed("the VMM refuses to start with it").expected("vsock:2").fix(fix());
            input.cite(finding, KEY)
        }
    }
}

pub(super) fn key_provider(check: &CheckDef, input: &Input<'_>) -> Finding {
    let provider = &input.config.key_provider;
    if !provider.enabled {
        let finding = check
            .warn()
            .observed("guests with a local key provider get no key, a KMS among them")
            .expected("key_provider.enabled = true, unless every guest has a KMS elsewhere")
            .fix(
                Fix::new("switch it on and run the local key provider")
                    .command(input.set_command("key_provider.enabled", "true")),
            );
        return input.cite(finding, "key_provider.enabled");
    }
    if provider.port == 0 {
        let finding = check.fail().observed("nothing listens on port 0").expected("the provider's port").fix(
            Fix::new("name the port of the local key provider")
                .command(input.set_command("key_provider.port", "3443")),
        );
        return input.cite(finding, "key_provider.port");
    }
    check.pass().observed(format!("{}", std::net::SocketAddr::new(provider.address, provider.port)))
}

pub(super) fn gpu(check: &CheckDef, input: &Input<'_>) -> Finding {
    let gpu = &input.config.cvm.gpu;
    let listed = input.is_set("cvm.gpu.listing") && !gpu.listing.is_empty() || !gpu.include.is_empty();
    if !gpu.enabled {
        if !listed {
            return check.not_applicable();
        }
        let finding = check
            .warn()
            .observed("GPUs are listed, and a VM that asks for one is refused with `GPU is not enabled`")
            .expected("cvm.gpu.enabled = true, or no list")
            .fix(Fix::new("switch GPUs on").command(input.set_command("cvm.gpu.enabled", "true")));
        return input.cite(input.cite(finding, "cvm.gpu.enabled"), "cvm.gpu.listing");
    }
    let fix =
        || Fix::new("list the product ids of the GPUs, as lspci shows them").command("lspci -nn -d 10de:");
    if gpu.listing.is_empty() {
        let finding = check
            .fail()
            .observed("GPUs are on and no product id is listed, so none is found")
            .expected("product ids such as 10de:2335")
            .fix(fix());
        return input.cite(finding, "cvm.gpu.listing");
    }
    if let Some(odd) = gpu.listing.iter().find(|id| !is_product_id(id)) {
        let finding = check
            .warn()
            .observed(format!("{odd:?} is no product id, no GPU has it"))
            .expected("vendor and product in lower-case hexadecimal, such as 10de:2335")
            .fix(fix());
        return input.cite(finding, "cvm.gpu.listing");
    }
    check.pass()
}

fn is_product_id(text: &str) -> bool {
    let four = |part: &str| {
        part.len() == 4 && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    text.split_once(':').is_some_and(|(vendor, product)| four(vendor) && four(product))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_urls() {
        assert_eq!(url_host("https://kms.example.com:9100/prpc"), Some("kms.example.com"));
        assert_eq!(url_host("http://user:pass@[2001:db8::1]:80"), Some("2001:db8::1"));
        assert_eq!(url_host("http://127.0.0.1:8081"), Some("127.0.0.1"));
        for text in ["", "kms.example.com:9100", "https://", "ftp://a"] {
            assert_eq!(url_host(text), None, "{text}");
        }
        assert!(is_loopback("127.9.9.9") && is_loopback("::1") && is_loopback("localhost"));
        assert!(!is_loopback("10.0.2.2"));
    }

    #[test]
    fn product_ids() {
        assert!(is_product_id("10de:2335"));
        for text in ["10DE:2335", "10de", "10de:23350", "0000:18:00.0"] {
            assert!(!is_product_id(text), "{text}");
        }
    }
}
