/* What flows through a tunnel's session, both ways: frames of connections (src/cluster/networks/tunnel-frames.ts has the same numbers). */
#ifndef CAISSON_SUPERVISOR_TUNNEL_H
#define CAISSON_SUPERVISOR_TUNNEL_H

/* Connection, kind and length of what follows, 32 bits each, their lowest byte first. */
#define TUNNEL_HEADER_BYTES 12
#define TUNNEL_DATA_BYTES 65536
/* So many bytes may be under way each way before they are taken. */
#define TUNNEL_WINDOW_BYTES 262144

/* From the daemon: port and protocol, 16 bits each. Its answer is TUNNEL_OPENED, or TUNNEL_RESET with the reason. From the supervisor, whose
 * job is `sockets`: which of its sockets it is, 32 bits; the connection is there, and the daemon says nothing or TUNNEL_RESET. */
#define TUNNEL_OPEN 1
#define TUNNEL_OPENED 2
/* Of UDP, a datagram each; those that find no room are lost, as they would be elsewhere. */
#define TUNNEL_DATA 3
/* No more comes from this side. */
#define TUNNEL_END 4
/* The connection is over. */
#define TUNNEL_RESET 5
/* So many more bytes (32 bits) have been taken. */
#define TUNNEL_TAKEN 6

#define TUNNEL_TCP 6
#define TUNNEL_UDP 17

#endif
