//! Name constraints: the hosts that a certificate below another may be for (RFC 5280 section 4.2.1.10).

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// The name by which a program reaches the deck itself.
pub(super) const OWN_NAME: &str = "localhost";

/// What a certificate's constraints permit.
#[derive(Debug, Default)]
pub(super) struct Permitted {
    /// Names, each with all below it.
    pub(super) names: Vec<String>,
    /// Address and mask, one after the other.
    networks: Vec<Vec<u8>>,
}

impl Permitted {
    /// Reads the constraints of a certificate, if it has any.
    pub(super) fn read(certificate: &X509Certificate<'_>) -> Result<Option<Self>, String> {
        let constraints = certificate.name_constraints().map_err(|why| why.to_string())?;
        let subtrees = constraints.and_then(|constraints| constraints.value.permitted_subtrees.as_ref());
        let Some(subtrees) = subtrees else { return Ok(None) };
        let mut permitted = Self::default();
        for subtree in subtrees {
            match &subtree.base {
                GeneralName::DNSName(name) => permitted.names.push((*name).to_owned()),
                GeneralName::IPAddress(network) => permitted.networks.push(network.to_vec()),
                _ => {}
            }
        }
        Ok(Some(permitted))
    }

    /// Whether a host, a name or an address, is among it.
    pub(super) fn has(&self, host: &str) -> bool {
        let Ok(address) = host.parse::<IpAddr>() else {
            return self.names.iter().any(|name| is_at_or_below(host, name));
        };
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        self.networks.iter().any(|network| {
            let (base, mask) = network.split_at(network.len() / 2);
            base.len() == octets.len() && (0..base.len()).all(|i| octets[i] & mask[i] == base[i] & mask[i])
        })
    }
}

fn is_at_or_below(host: &str, name: &str) -> bool {
    let Some(above) = host.len().checked_sub(name.len()) else { return false };
    let (below, end) = host.as_bytes().split_at(above);
    end.eq_ignore_ascii_case(name.as_bytes()) && (below.is_empty() || below.ends_with(b"."))
}

/// Constraints to these hosts, and the deck's own name and addresses on this machine.
pub(super) fn of(hosts: &[String]) -> NameConstraints {
    let mut names: Vec<&str> = Vec::new();
    let mut networks = vec![
        // Java wants the bits beyond the mask to be zero.
        CidrSubnet::from_addr_prefix(Ipv4Addr::new(127, 0, 0, 0).into(), 8),
        CidrSubnet::from_addr_prefix(Ipv6Addr::LOCALHOST.into(), 128),
    ];
    for host in hosts.iter().map(String::as_str).chain([OWN_NAME]) {
        match host.parse::<IpAddr>() {
            Ok(address) => {
                networks.push(CidrSubnet::from_addr_prefix(address, if address.is_ipv4() { 32 } else { 128 }))
            }
            Err(_) if hosts.iter().any(|other| other.len() < host.len() && is_at_or_below(host, other)) => {}
            Err(_) if names.iter().any(|name| name.eq_ignore_ascii_case(host)) => {}
            Err(_) => names.push(host),
        }
    }
    let names = names.into_iter().map(|name| GeneralSubtree::DnsName(name.to_owned()));
    let permitted_subtrees = names.chain(networks.into_iter().map(GeneralSubtree::IpAddress)).collect();
    NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() }
}
