// Networks: the API's operations, membership of running and stopped containers, names, links, published ports.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { httpCases, mainCases, scriptCases } from '../harness/cases';

/** Ends with `sleep`, so that cases can look at it. */
const idle = 'busybox sleep 300';

/** A program of ./python as an argument of python3. */
function program(file: string): string {
  const text = readFileSync(join(__dirname, file)).toString('base64');
  return `-c "import base64; exec(base64.b64decode('${text}'))"`;
}

mainCases('networks: create', ['inspect of one with every option', 'what is refused', 'filters', 'prune']);
scriptCases('networks: create', {
  'inspect of one with every option': `
    docker network create --subnet 10.201.0.0/24 --ip-range 10.201.0.128/25 --gateway 10.201.0.5 --aux-address a=10.201.0.6 --label x=1 --label y --attachable --internal -o com.docker.network.driver.mtu=1400 $c >/dev/null
    docker network inspect -v $c`,
  'of IPv6': `
    # since 1.44 a MAC address goes another way, which dockerd 20.10 does not know
    export DOCKER_API_VERSION=1.41
    docker network create --ipv6 --subnet fd00:201::/64 --subnet 10.202.0.0/24 $c >/dev/null
    docker network inspect -f '{{.EnableIPv6}} {{json .IPAM}}' $c
    docker run -d --name $c --network $c --ip6 fd00:201::99 --mac-address 02:42:11:22:33:44 ${idle} >/dev/null
    docker exec $c ip -o address show eth0 | awk '$4 !~ /^fe80/ {print $3, $4}' | sort
    docker inspect -f '{{json .NetworkSettings.Networks}} {{.Config.MacAddress}}' $c
    docker run -d --name $c-b --network $c --network-alias al -p '[::1]:18151:80' busybox sh -c 'echo hello >/index.html; exec httpd -f -p 80' >/dev/null
    docker exec $c nslookup -type=aaaa al | tail -n 2
    docker exec $c wget -qO- http://[fd00:201::2]/
    wait_for on_host curl -s -m 2 '[::1]:18151' # dockerd's proxy hangs when the bridge's address is not usable yet
    on_host curl -s '[::1]:18151'
    docker port $c-b
    docker run --rm --network $c --ip6 fd00:201::99 busybox true
    docker run --rm --network $c --ip6 fd00:202::99 busybox true
    docker network create --subnet fd00:203::/64 --subnet 10.213.0.0/24 $c-off >/dev/null
    docker network inspect -f '{{.EnableIPv6}} {{json .IPAM.Config}}' $c-off`,
  'what is refused': `
    docker network create --subnet 10.203.0.0/24 $c >/dev/null
    docker network create $c
    docker network create --subnet 10.203.0.0/25 $c-b
    docker network create --ipv6 $c-b
    docker network create --subnet 300.1.1.1/3 $c-b
    docker network create --gateway 1.2.3.4 $c-b
    docker network create --subnet 10.204.0.0/24 --gateway 10.205.0.1 $c-b
    docker network create --subnet 10.204.0.0/24 --ip-range 10.205.0.1/25 $c-b
    docker network create -d overlay $c-b
    docker network create -d $c-driver $c-b
    docker network create -d host $c-b
    docker network create --ipam-driver $c-driver $c-b
    docker network create --ingress $c-b
    docker network create --scope swarm $c-b
    docker network create -o com.docker.network.bridge.enable_icc=maybe $c-b
    docker network create bridge
    docker network rm bridge
    docker network rm $c-nobody`,
  'configuration only': `
    docker network create --config-only --label z=1 --label case=$c $c >/dev/null
    docker network inspect -f '{{.ConfigOnly}} {{.Driver}} {{.Labels.z}}' $c
    docker run --name $c --network $c busybox true 2>&1 | head -n 1
    docker inspect -f '{{.State.Status}} {{.State.Error}}' $c
    docker run -d --name $c-b ${idle} >/dev/null
    docker network connect $c $c-b
    docker network prune -f --filter label=case=$c
    docker network rm $c`,
  'from a configuration': `
    docker network create --config-only --subnet 10.216.0.0/24 --gateway 10.216.0.9 --ip-range 10.216.0.128/25 --ipv6 --subnet fd00:216::/64 --label z=1 -o com.docker.network.driver.mtu=1400 $c >/dev/null
    docker network inspect -f '{{.EnableIPv6}} {{json .IPAM}} {{json .Options}} {{.ConfigOnly}} {{.ConfigFrom}}' $c
    docker network create --config-from $c --internal --attachable $c-made >/dev/null
    docker network inspect -f '{{.Driver}} {{.EnableIPv6}} {{json .IPAM}} {{json .Options}} {{json .Labels}} {{.Internal}} {{.Attachable}} {{.ConfigOnly}} {{json .ConfigFrom}}' $c-made
    docker network create --config-from $c $c-second
    docker run --rm --network $c-made --ip 10.216.0.77 busybox sh -c 'ip -o address show eth0 | grep -o "inet6* [1f][^e]*"; cat /sys/class/net/eth0/mtu'
    docker run --rm --network $c-made busybox sh -c 'ip -o -4 address show eth0 | grep -o "inet [^ ]*"'
    docker network rm $c
    docker network create --config-from $c-made $c-third
    docker network create --config-from $c --label a=b $c-third
    docker network create --config-from $c -o a=b $c-third
    docker network create --config-from $c --config-only $c-third
    docker network rm $c-made $c`,
  'link-local addresses': `
    docker network create $c >/dev/null
    docker run -d --name $c --network $c --link-local-ip 169.254.7.1 ${idle} >/dev/null
    docker run --rm --network $c --link-local-ip 169.254.7.2 busybox sh -c 'ip -o -4 address show eth0 | grep -o 169.254.*scope; ping -c 1 -I 169.254.7.2 169.254.7.1 | grep -o "1 packets received"'
    docker inspect -f '{{json (index .NetworkSettings.Networks "'$c'").IPAMConfig}}' $c
    docker run --rm --network $c --link-local-ip 1.2.3.4 busybox true 2>&1 | head -n 1`,
  filters: `
    docker network create --label a=$c --label b $c >/dev/null
    docker run -d --name $c --network $c ${idle} >/dev/null
    docker network ls --filter label=a=$c --format '{{.Name}} {{.Driver}} {{.Scope}}'
    docker network ls --filter name=$c --filter driver=bridge --filter type=custom --filter dangling=true --filter scope=local -q
    docker network ls --filter name=$c --filter type=builtin -q
    docker network ls --filter name=$c --filter dangling=false -q
    docker network ls --filter type=$c
    docker network ls --filter $c=1
    docker network ls --filter dangling=x
    docker network ls --filter dangling=true --filter dangling=false
    docker network ls --filter type=builtin --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}}' | sort`,
  prune: `
    docker network create --label case=$c $c >/dev/null
    docker network create --label case=$c $c-used >/dev/null
    docker run -d --name $c --network $c-used ${idle} >/dev/null
    docker network prune -f --filter label=case=$c --filter until=1h
    docker network prune -f --filter label=case=$c
    docker network prune -f --filter $c=1
    docker network rm $c-used`,
});

scriptCases('networks: connect and disconnect', {
  'a running container: addresses, routes, names': `
    docker network create --subnet 10.206.0.0/24 $c-z >/dev/null; docker network create --subnet 10.207.0.0/24 $c-a >/dev/null
    docker run -d --name $c --network $c-z ${idle} >/dev/null
    docker network connect --ip 10.207.0.50 --alias web --driver-opt foo=bar $c-a $c
    docker exec $c ip route
    docker exec $c ip -o -4 address | awk '{print $2, $4}'
    docker exec $c sh -c 'tail -n 2 /etc/hosts; cat /etc/resolv.conf'
    docker inspect -f '{{json .NetworkSettings.Networks}}' $c
    docker run --rm --network $c-a busybox nslookup -type=a web | tail -n 2
    docker network connect $c-a $c
    docker network disconnect $c-a $c
    docker exec $c ip route
    docker network disconnect $c-a $c
    docker network inspect -f '{{json .Containers}}' $c-a`,
  'from the default bridge': `
    docker network create --subnet 10.208.0.0/24 $c >/dev/null
    docker run -d --name $c ${idle} >/dev/null
    docker run -d --name $c-peer --network $c ${idle} >/dev/null
    docker network connect $c $c
    docker exec $c cat /etc/resolv.conf
    docker exec $c nslookup -type=a $c-peer | tail -n 2
    docker network disconnect bridge $c
    docker exec $c sh -c 'ip -o -4 address | cut -d " " -f 2-; ip route' | grep -v '^lo '
    docker inspect -f '{{json .NetworkSettings.Networks}} [{{.NetworkSettings.IPAddress}}]' $c`,
  'a stopped container': `
    docker network create --subnet 10.209.0.0/24 $c >/dev/null
    docker create --name $c ${idle} >/dev/null
    docker network connect --ip 10.209.0.77 --alias web $c $c
    docker network connect --ip 10.209.0.78 $c $c
    docker inspect -f '{{json .NetworkSettings.Networks}}' $c
    docker start $c
    docker exec $c ip -o -4 address | awk '{print $4}' | sort
    docker restart -t 0 $c
    docker exec $c ip -o -4 address | awk '{print $4}' | sort
    docker stop -t 0 $c
    docker network disconnect $c $c
    docker network disconnect $c $c`,
  'what is refused': `
    docker network create --subnet 10.210.0.0/24 $c >/dev/null
    docker network create $c-auto >/dev/null
    docker run -d --name $c ${idle} >/dev/null
    docker run -d --name $c-none --network none ${idle} >/dev/null
    docker network connect --ip 10.99.0.1 $c-auto $c
    docker network connect --ip6 fe80::5 $c $c
    docker network connect --alias x bridge $c
    docker network connect --ip 172.17.0.9 bridge $c
    docker network connect host $c
    docker network connect none $c
    docker network connect $c $c-none
    docker network connect $c-nobody $c
    docker network connect $c $c-nobody
    docker network disconnect $c $c
    docker network disconnect -f $c $c-nobody
    docker run --rm --network bridge --ip 172.17.0.99 busybox true
    docker run --rm --network bridge --network-alias x busybox true
    docker run --rm --network $c-nobody busybox true`,
  events: `
    docker network create $c >/dev/null
    docker run -d --name $c --network $c ${idle} >/dev/null
    docker network disconnect $c $c; docker network connect $c $c; docker rm -f $c >/dev/null; docker network rm $c >/dev/null
    seen() { docker events --since 1m --until 0s --filter type=network --filter network=$c --format '{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}'; }; wait_for 'seen | grep destroy'; seen | tail -n 7`,
});

mainCases('networks: names', [
  'name, alias, link, short id, host name of its own, another network',
  'files of the resolver',
  'links on the default bridge',
]);
scriptCases('networks: names', {
  'an endpoint on none has ids, and nothing else': `
    docker create --name $c --network none ${idle} >/dev/null
    networks() { docker inspect -f '{{json .NetworkSettings.Networks}}' $c; }
    networks; docker start $c; networks; docker stop -t 0 $c; networks`,
  'name, alias, link, short id, host name of its own, another network': `
    docker network create $c >/dev/null; docker network create $c-other >/dev/null
    docker run -d --name $c --network $c --network-alias al ${idle} >/dev/null
    docker run -d --name $c-b --network $c --link $c:lk ${idle} >/dev/null
    docker exec $c-b sh -c 'for n in $0 al lk $0.$0 lk.$0; do nslookup -type=a $n | tail -n 2; done' $c
    docker exec $c-b nslookup -type=ptr "$(docker inspect -f "{{(index .NetworkSettings.Networks \\"$c\\").IPAddress}}" $c)" | grep name
    docker inspect -f '{{json .HostConfig.Links}} {{json .NetworkSettings.Networks}}' $c-b
    docker run --rm --network $c-other busybox nslookup -type=a $c 2>&1 | grep -c 'Address: 1[07]'
    docker rename $c $c-new
    docker exec $c-b nslookup -type=a $c-new | tail -n 2`,
  'files of the resolver': `
    docker run --rm --dns 9.9.9.9 --dns-search foo.bar --dns-option ndots:3 busybox cat /etc/resolv.conf
    docker run --rm --hostname foo.bar --add-host host.docker.internal:host-gateway --add-host six:::5 busybox cat /etc/hosts /etc/hostname
    docker run --rm --network none --hostname foo --domainname example.org busybox cat /etc/hosts /etc/hostname`,
  'servers of other names, of which the first fails': `
    docker network create --subnet 10.218.0.0/24 $c >/dev/null
    docker run -d --name $c-first --network $c --ip 10.218.0.51 debian:12 python3 ${program('name-server.py')} first >/dev/null
    docker run -d --name $c-second --network $c --ip 10.218.0.52 debian:12 python3 ${program('name-server.py')} second >/dev/null
    wait_for 'docker logs $c-first | grep ready' && wait_for 'docker logs $c-second | grep ready'
    docker run --rm --network $c --dns 10.218.0.51 --dns 10.218.0.52 debian:12 python3 ${program('name-query.py')} own.test servfail.test nx.test refused.test silent.test large.test
    docker run --rm --network $c --dns 10.218.0.51 debian:12 python3 ${program('name-query.py')} own.test servfail.test nx.test refused.test`,
  'links on the default bridge': `
    docker run -d --name $c --hostname hh -e FOO=bar --expose 80-82 --expose 53/udp -p 7777 ${idle} >/dev/null
    docker run -d --name $c-b --link $c:al-ias ${idle} >/dev/null
    docker exec $c-b env | grep ^AL_IAS | sort
    docker exec $c-b grep hh /etc/hosts
    docker inspect -f '{{json .HostConfig.Links}}' $c-b
    docker inspect -f '{{.Name}}' $c-b/al-ias
    docker ps --no-trunc --filter name=^/$c$ --format '{{.Names}}'
    docker stop -t 0 $c; docker restart -t 0 $c-b
    docker rm --link $c-b/al-ias
    docker rm --link $c
    docker run --rm --link $c-nobody:x busybox true`,
  'a link to one that has the network of another': `
    docker run -d --name $c --hostname hh ${idle} >/dev/null
    docker run -d --name $c-b --network container:$c ${idle} >/dev/null
    docker run --rm --link $c-b:x busybox grep hh /etc/hosts`,
});

mainCases('networks: published ports', [
  'tcp, udp, an address, a range, any number',
  'what answers',
  'a conflict leaves nothing behind',
]);
scriptCases('networks: published ports', {
  'tcp, udp, an address, a range, any number': `
    docker run -d --name $c -p 18101:80 -p 18101:53/udp -p 127.0.0.1:18102:81 -p 18103-18104:82-83 -p 84 --expose 85 ${idle} >/dev/null
    docker port $c | sort
    docker port $c 80
    docker ps --filter name=$c --format '{{.Ports}}'
    docker inspect -f '{{json .HostConfig.PortBindings}}' $c`,
  '-P': `
    docker run -d --name $c -P --expose 81 --entrypoint sleep configured 300 >/dev/null
    docker port $c | sort`,
  'a range of the host for one port': `
    docker run -d --name $c -p 18111-18112:80 ${idle} >/dev/null
    docker run -d --name $c-b -p 18111-18112:80 ${idle} >/dev/null
    (docker port $c; docker port $c-b) | sort
    docker run --name $c-d -p 18111-18112:80 ${idle}`,
  'what answers': `
    docker run -d --name $c -p 18121:80 busybox sh -c 'echo hello > /index.html; exec httpd -f -p 80' >/dev/null
    wait_for on_host curl -s 127.0.0.1:18121
    on_host curl -s 127.0.0.1:18121 '[::1]:18121'
    docker stop -t 0 $c
    on_host curl -s 127.0.0.1:18121`,
  'a conflict leaves nothing behind': `
    docker run -d --name $c -p 18131:80 ${idle} >/dev/null
    docker run -d --name $c-b -p 18132:80 -p 18131:81 ${idle}
    docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{json .NetworkSettings.Ports}}' $c-b
    docker run -d --name $c-d -p 18132:80 ${idle} >/dev/null
    docker rm -f $c >/dev/null
    docker start $c-b
    docker run --rm --name $c-e -p 1.2.3.4:18133:80 busybox true
    docker run --rm --name $c-f -p 18134:80/sctp busybox true`,
  'on an internal network': `
    docker network create --internal $c >/dev/null
    docker run -d --name $c --network $c -p 18141:80 ${idle} >/dev/null
    docker port $c
    docker inspect -f '{{json .NetworkSettings.Ports}} {{json .NetworkSettings.Networks}}' $c
    docker exec $c ip route`,
});

const tiny = { Subnet: '10.211.0.0/30' };
const makeIdle = (name: string, body: object = {}) => ({
  request: `POST /containers/create?name=${name}`,
  body: { Image: 'busybox', Cmd: ['sleep', '300'], ...body },
});
const joined = (address: string) => ({ IPAMConfig: { IPv4Address: address } });

httpCases('networks over HTTP', {
  'connect of one that never ran: the address that it is to have': [
    { request: 'POST /networks/create', body: { Name: '$c' } },
    { request: 'POST /containers/create?name=$c', body: { Image: 'busybox' } },
    {
      request: 'POST /networks/$c/connect',
      body: { Container: '$c', EndpointConfig: { MacAddress: '02:42:ac:11:00:77' } },
    },
    'GET /containers/$c/json',
  ],
  'a subnet that is full': [
    { request: 'POST /networks/create', body: { Name: '$c', IPAM: { Config: [tiny] } } },
    makeIdle('$c-a', { HostConfig: { NetworkMode: '$c' } }),
    { request: 'POST /containers/$id/start' },
    makeIdle('$c-b', { HostConfig: { NetworkMode: '$c' } }),
    { request: 'POST /containers/$id/start' },
    makeIdle('$c-d'),
    { request: 'POST /containers/$id/start' },
    { request: 'POST /networks/$c/connect', body: { Container: '$c-d' } },
    {
      request: 'POST /networks/$c/connect',
      body: { Container: '$c-d', EndpointConfig: joined('10.211.0.2') },
    },
    {
      request: 'POST /networks/$c/connect',
      body: { Container: '$c-d', EndpointConfig: joined('10.212.0.2') },
    },
    { request: 'DELETE /networks/$c' },
  ],
  'a list, with the slash': { request: 'GET /networks/', statusOnly: true },
  'inspect of nobody': 'GET /networks/$c-nobody',
  'connect to nobody': { request: 'POST /networks/bridge/connect', body: { Container: '$c-nobody' } },
  'connect to host': [
    { request: 'POST /containers/create?name=$c', body: { Image: 'busybox', Cmd: ['sleep', '300'] } },
    { request: 'POST /networks/host/connect', body: { Container: '$c' } },
    {
      request: 'POST /networks/bridge/connect',
      body: { Container: '$c', EndpointConfig: { Aliases: ['x'] } },
    },
    { request: 'POST /networks/none/disconnect', body: { Container: '$c' } },
  ],
  'addresses that are refused': [
    {
      request: 'POST /networks/create',
      body: {
        Name: '$c',
        EnableIPv6: true,
        IPAM: { Config: [{ Subnet: '10.219.0.0/24' }, { Subnet: 'fd00:219::/64' }] },
      },
    },
    makeIdle('$c-a'),
    { request: 'POST /containers/$id/start' },
    ...[
      { IPv6Address: 'x' },
      { IPv4Address: 'x' },
      { IPv4Address: 'fd00:219::7' },
      { IPv6Address: '10.219.0.9' },
      { IPv6Address: 'fd00:219::1' },
      { IPv4Address: '10.219.0.0' },
      { IPv4Address: '10.219.0.255' },
      { LinkLocalIPs: ['1.2.3.4'] },
      { LinkLocalIPs: ['x'] },
    ].map((IPAMConfig) => ({
      request: 'POST /networks/$c/connect',
      body: { Container: '$c-a', EndpointConfig: { IPAMConfig } },
    })),
  ],
  'of one name, told apart by their ids': [
    { request: 'POST /networks/create', body: { Name: '$c' } },
    { request: 'POST /networks/create', body: { Name: '$c' } },
    'GET /networks/$c',
    { request: 'DELETE /networks/$c' },
    { request: 'POST /networks/create', body: { Name: '$c', CheckDuplicate: true } },
  ],
  'create without a name': { request: 'POST /networks/create', body: { Driver: 'bridge' } },
  'inspect of another scope': 'GET /networks/bridge?scope=swarm',
});
