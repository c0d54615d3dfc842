/* What a daemon and the supervisor of a Pod say to each other; its prose is docs/supervisor-protocol.md and its other half is
 * src/cluster/supervisor/protocol.ts. A test compares the numbers. */
#ifndef CAISSON_SUPERVISOR_PROTOCOL_H
#define CAISSON_SUPERVISOR_PROTOCOL_H

/* Where it lies in a container, and where what it keeps lies: its socket and the log. */
#define SUPERVISOR_DIRECTORY "/.caisson"
#define SUPERVISOR_STATE SUPERVISOR_DIRECTORY "/run"
/* What its name server knows; absent: it has none (guest/supervisor/names/table.h). */
#define SUPERVISOR_NAMES SUPERVISOR_DIRECTORY "/names/table"

/* A frame: its kind, three zeros, the length of what follows; numbers have their lowest byte first. */
#define SESSION_HEADER_BYTES 8
#define SESSION_DATA_BYTES 65536
#define SESSION_REQUEST_BYTES (8 * 1024 * 1024)

/* From the daemon. */
#define SESSION_REQUEST 1
#define SESSION_INPUT 2
#define SESSION_INPUT_END 3
#define SESSION_RESIZE 4
#define SESSION_PING 5

/* From the supervisor. */
#define SESSION_REPLY 16
#define SESSION_FAILURE 17
#define SESSION_RECORDS 18
#define SESSION_STDOUT 19
#define SESSION_STDERR 20
#define SESSION_EXIT 21
#define SESSION_END 22
#define SESSION_PONG 23
/* So many bytes of input have been taken: of it no more than this is sent ahead. */
#define SESSION_TAKEN 24
#define SESSION_INPUT_AHEAD_BYTES (4 * SESSION_DATA_BYTES)

/* A record of the log: length of its content, kind, flags, two zeros, time in nanoseconds; the content; all bytes of it. */
#define RECORD_HEADER_BYTES 16
#define RECORD_TRAILER_BYTES 4
#define RECORD_STDOUT 1
#define RECORD_STDERR 2
#define RECORD_STATE 3
/* Of an output record, which may have many lines: the last one ends here, or has so many bytes that dockerd cuts it here. */
#define RECORD_FLAG_END 1
#define RECORD_LINE_BYTES 16384
#define RECORD_MOST_BYTES (2 * RECORD_LINE_BYTES)

#endif
