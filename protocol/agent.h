/* The wire contract with the daemon; its prose is docs/agent-protocol.md and its other half is
 * src/vm/contract/protocol.ts. A test compares the numbers. */
#ifndef CAISSON_AGENT_PROTOCOL_H
#define CAISSON_AGENT_PROTOCOL_H

#define PROTOCOL_VERSION 1
#define OLDEST_PROTOCOL_VERSION 1
#define AGENT_PORT_NAME "caisson.agent.0"

#define FRAME_HEADER_BYTES 16
#define FRAME_CHECK_SEED 0x43414953u
#define FRAME_FLAG_MORE 1
#define FRAME_TRAILER 0x21444e45u
#define FRAME_TRAILER_BYTES 4
#define MAX_PAYLOAD_BYTES 65536
#define MAX_FRAME_BYTES (FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES + FRAME_TRAILER_BYTES)
#define MAX_MESSAGE_BYTES (16 * 1024 * 1024)

#define CHANNEL_WINDOW_BYTES 262144
#define GUEST_CHANNEL_BIT 0x80000000u

/* "Bulk data": kinds of records, and how much goes without the disk. */
#define BULK_DISK "/dev/vda"
#define BULK_PLAIN 1
#define BULK_SLOT 2
#define BULK_PLAIN_BYTES 65536

/* Where the shares of the file server are mounted, and where connections to the host's sockets are listened for. */
#define SHARES_DIRECTORY "/run/shares"
#define TUNNELS_DIRECTORY "/run/tunnels"

#define SYNC_MAGIC "CAISSON-SYNC-v1\n"
#define SYNC_MAGIC_BYTES 16
#define SYNC_NONCE_BYTES 16
#define SYNC_PREAMBLE_ZEROS MAX_FRAME_BYTES

enum frame_type {
    FRAME_HELLO = 1,
    FRAME_REQUEST = 2,
    FRAME_RESPONSE = 3,
    FRAME_EVENT = 4,
    FRAME_EVENT_ACK = 5,
    FRAME_DATA = 6,
    FRAME_ACK = 7,
    FRAME_EOF = 8,
    FRAME_RESET = 9,
};

#endif
