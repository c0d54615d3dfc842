// The nftables rules of the private namespace, as text for `nft -f`. Pure. docs/networking.md explains them.

import { formatAddress, linkLocalOfMac, parseAddress } from './addresses/addresses';

export interface BridgeRules {
  name: string;
  /** Addresses of the bridge itself: where the name service answers. */
  gateways: string[];
  /** False for internal networks. */
  egress: boolean;
}

export interface TapRules {
  name: string;
  mac: string;
  ipv4: string[];
  ipv6: string[];
  /** Its container is on the host's network, and reaches the host's loopback. */
  onHost: boolean;
}

export interface RulesetInput {
  egressDevice: string;
  bridges: BridgeRules[];
  taps: TapRules[];
  /** Where services of the host are reached through the egress; empty: nowhere. */
  hostAddress: string;
  /** Addresses that the egress uses itself: of them guests may only ask the name server, and reach `hostAddress`. */
  egressSubnet: string;
  egressSubnet6: string;
  egressNameServer: string;
  egressHostLoopback: string;
  egressHostLoopback6: string;
  /** The leg of the host, which need not be there, and addresses that it has. */
  hostLegDevice: string;
  hostLegPool: string;
}

/** Name service queries per second of one container, and how many may come at once. */
const dnsRate = { perSecond: 500, burst: 500 };

/** Replaces all rules in one step; connections that are established go on. */
export function fullRuleset(input: RulesetInput): string {
  const elements = [...input.bridges.flatMap(bridgeElements), ...input.taps.flatMap(tapElements)];
  const rules = [bridgeTable(), inetTable(input), ...elements.map((element) => `add element ${element}`)];
  return `${rules.join('\n')}\n${hostAddressChange(input.hostAddress)}`;
}

/** Where gateways lead for what they do not serve themselves. Empty: nowhere. */
export function hostAddressChange(hostAddress: string): string {
  const rule = hostAddress === '' ? '' : `add rule inet caisson host dnat ip to ${hostAddress}\n`;
  return `flush chain inet caisson host\n${rule}`;
}

/** Adds or deletes what belongs to one bridge. */
export function bridgeChange(verb: 'add' | 'delete', bridge: BridgeRules): string {
  return bridgeElements(bridge)
    .map((element) => `${verb} element ${element}\n`)
    .join('');
}

/** Adds or deletes what belongs to one tap. Without it, not one frame of the tap passes. */
export function tapChange(verb: 'add' | 'delete', tap: TapRules): string {
  return tapElements(tap)
    .map((element) => `${verb} element ${element}\n`)
    .join('');
}

/** What a guest may send: its own MAC, its own addresses, no VLAN tag, no DHCP server's answer, no router's. */
function bridgeTable(): string {
  return `
add table bridge caisson
delete table bridge caisson
table bridge caisson {
  set guest4 { type ifname . ether_addr . ipv4_addr; }
  set guest6 { type ifname . ether_addr . ipv6_addr; }
  set arp4 { type ifname . ether_addr . ether_addr . ipv4_addr; }
  set nd6 { typeof iifname . @th,64,128; }
  chain prerouting {
    type filter hook prerouting priority -300; policy drop;
    ether type ip udp sport 67 drop
    ether type ip iifname . ether saddr . ip saddr @guest4 accept
    ether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4 iifname . ether saddr . arp saddr ether . arp saddr ip @arp4 accept
    ether type ip6 meta l4proto icmpv6 icmpv6 type { nd-router-advert, nd-redirect } drop
    ether type ip6 udp sport 547 drop
    ether type ip6 meta l4proto icmpv6 icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @nd6 drop
    ether type ip6 ip6 saddr :: meta l4proto icmpv6 icmpv6 type nd-neighbor-solicit iifname . @th,64,128 != @nd6 drop
    ether type ip6 ip6 saddr :: meta l4proto != icmpv6 drop
    ether type ip6 iifname . ether saddr . ip6 saddr @guest6 accept
  }
}`;
}

function inetTable(input: RulesetInput): string {
  const out = input.egressDevice;
  return `
add table inet caisson
delete table inet caisson
table inet caisson {
  set bridges { type ifname; }
  set open { type ifname; }
  set gateway4 { type ifname . ipv4_addr; }
  set gateway6 { type ifname . ipv6_addr; }
  set onhost4 { type ipv4_addr; }
  set askers4 { type ipv4_addr; size 65535; flags dynamic; timeout 10s; }
  set askers6 { type ipv6_addr; size 65535; flags dynamic; timeout 10s; }
  chain input {
    type filter hook input priority 0; policy drop;
    iifname lo accept
    meta l4proto { tcp, udp } th dport 53 update @askers4 { ip saddr limit rate over ${dnsRate.perSecond}/second burst ${dnsRate.burst} packets } drop
    meta l4proto { tcp, udp } th dport 53 update @askers6 { ip6 saddr limit rate over ${dnsRate.perSecond}/second burst ${dnsRate.burst} packets } drop
    ct state established,related accept
    iifname "${out}" icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
    iifname != @bridges drop
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept
    iifname . ip daddr @gateway4 icmp type echo-request accept
    iifname . ip6 daddr @gateway6 icmpv6 type echo-request accept
    iifname . ip daddr @gateway4 meta l4proto { tcp, udp } th dport 53 accept
    iifname . ip6 daddr @gateway6 meta l4proto { tcp, udp } th dport 53 accept
    iifname . ip daddr @gateway4 meta l4proto tcp reject with tcp reset
    iifname . ip daddr @gateway4 reject
  }
  chain output {
    type filter hook output priority 0; policy accept;
    ip daddr ${input.egressHostLoopback} reject
    ip6 daddr ${input.egressHostLoopback6} meta l4proto { tcp, udp } reject
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ct state invalid drop
    oifname "${out}" ip daddr ${input.egressHostLoopback} meta l4proto { tcp, udp } iifname @open ip saddr @onhost4 accept
    oifname "${out}" ct status dnat iifname @open accept
    oifname "${out}" ip daddr ${input.egressNameServer} meta l4proto { tcp, udp } th dport 53 iifname @open accept
    oifname "${out}" ip daddr ${input.egressSubnet} reject
    oifname "${out}" ip6 daddr ${input.egressSubnet6} reject
    iifname @open oifname "${out}" accept
    iifname "${input.hostLegDevice}" ip saddr ${input.hostLegPool} oifname @bridges accept
  }
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    iifname @open iifname . ip daddr @gateway4 meta l4proto { tcp, udp } th dport != 53 jump host
  }
  chain host {
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    iifname @bridges oifname "${out}" masquerade
    iifname "${input.hostLegDevice}" oifname @bridges masquerade
  }
}`;
}

function bridgeElements(bridge: BridgeRules): string[] {
  const name = `"${bridge.name}"`;
  return [
    `inet caisson bridges { ${name} }`,
    ...(bridge.egress ? [`inet caisson open { ${name} }`] : []),
    ...bridge.gateways.map((address) => `inet caisson gateway${family(address)} { ${name} . ${address} }`),
  ];
}

function tapElements(tap: TapRules): string[] {
  const name = `"${tap.name}"`;
  const own = `${name} . ${tap.mac}`;
  const linkLocal = formatAddress(linkLocalOfMac(tap.mac));
  const ipv6 = tap.ipv6.length === 0 ? [] : [...new Set([...tap.ipv6, linkLocal])];
  return [
    ...tap.ipv4.map((address) => `bridge caisson guest4 { ${own} . ${address} }`),
    ...tap.ipv4.map((address) => `bridge caisson arp4 { ${own} . ${tap.mac} . ${address} }`),
    // the unspecified address is the source of duplicate address detection and of first multicast reports
    ...(ipv6.length === 0 ? [] : [`bridge caisson guest6 { ${own} . :: }`]),
    ...ipv6.map((address) => `bridge caisson guest6 { ${own} . ${address} }`),
    ...ipv6.map((address) => `bridge caisson nd6 { ${name} . ${hexOf(address)} }`),
    ...(tap.onHost ? tap.ipv4.map((address) => `inet caisson onhost4 { ${address} }`) : []),
  ];
}

/** nft takes a raw payload's value as a number only. */
function hexOf(address: string): string {
  return `0x${(parseAddress(address)?.value ?? 0n).toString(16).padStart(32, '0')}`;
}

function family(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}
