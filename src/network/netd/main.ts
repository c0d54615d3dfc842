// netd/: the helper that lives in the private namespace.
//
// netd: the data plane of the networks. Runs unprivileged inside the private namespace, answers names on every
// network's gateway and carries the connections of published ports. native/netd-host.c starts it, hands it sockets of
// the host's namespace, and starts it anew if it ends; the daemon tells it what to serve (protocol.ts).

import { ControlServer } from './control-server';
import { DnsServers } from './dns-servers';
import { HostSockets } from './host-sockets';
import { NameTable } from './name-table';
import { PortServers } from './port-servers';

/** Descriptor of the listening control socket, as netd-host leaves it. */
const controlDescriptor = 4;

const names = new NameTable();
const sockets = new HostSockets(process);
const control = new ControlServer({
  names,
  sockets,
  dns: new DnsServers(names),
  ports: new PortServers(sockets),
});
control.listen(controlDescriptor);
process.on('disconnect', () => process.exit(0)); // netd-host is gone
