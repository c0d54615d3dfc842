#include "commands/command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/child.h"
#include "commands/follower.h"
#include "commands/oom.h"
#include "commands/sweep.h"
#include "core/cleanup.h"
#include "core/fields.h"
#include "core/log.h"
#include "limits/spec.h"
#include "records/record.h"
#include "sockets/sockets.h"

/* How often processes that are being killed are looked for, and for how long. */
#define SWEEP_MS 20
#define SWEEPS 500
#define READ_BYTES 65536

enum command_phase { COMMAND_NEVER, COMMAND_STARTING, COMMAND_RUNNING, COMMAND_ENDING, COMMAND_EXITED };

static struct {
    struct record_log *log;
    enum command_phase phase;
    unsigned run;
    struct child child;
    struct record_cutter cutters[2];
    bool is_first; /* signals it does nothing about don't reach it, as with process 1 of a PID namespace */
    struct session *starter;
    bool follows;
    int64_t started_ns, finished_ns;
    int code, signal;
    bool oom_killed;
    uint64_t oom_kills; /* when it began */
    struct timer sweeping;
    unsigned sweeps;
    bool leaving; /* the Pod is to end with the command */
} command;

static const char *const phase_names[] = {
    [COMMAND_NEVER] = "never",    [COMMAND_STARTING] = "starting", [COMMAND_RUNNING] = "running",
    [COMMAND_ENDING] = "running", [COMMAND_EXITED] = "exited",
};

static json_t *time_text(int64_t time_ns)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRId64, time_ns);
    return json_string(text);
}

json_t *command_state(void)
{
    bool has_pid = command.phase == COMMAND_RUNNING || command.phase == COMMAND_ENDING;
    return json_pack("{s:s, s:i, s:i, s:o, s:o, s:i, s:i, s:b, s:I, s:I}", "state", phase_names[command.phase], "run",
                     (int)command.run, "pid", has_pid ? (int)command.child.pid : 0, "startedAt",
                     time_text(command.started_ns), "finishedAt", time_text(command.finished_ns), "code", command.code,
                     "signal", command.signal, "oom", command.oom_killed, "first",
                     (json_int_t)record_log_first(command.log), "end", (json_int_t)record_log_end(command.log));
}

bool command_runs(void)
{
    return command.phase == COMMAND_RUNNING;
}

/* ---- the log ---- */

static void keep(struct ring *records)
{
    const uint8_t *bytes;
    size_t length;
    while ((length = ring_front(records, &bytes)) > 0) {
        /* The ring is never consumed in parts before this, so its content is one run. */
        int result = record_log_append(command.log, bytes, length);
        if (result < 0)
            log_line("output is lost: %s", strerror(-result));
        ring_consume(records, length);
    }
    ring_free(records);
    followers_wake();
}

static void keep_state(int64_t time_ns, json_t *state)
{
    struct ring records = { 0 };
    auto_json owned = state;
    auto_free char *text = json_dumps(owned, JSON_COMPACT);
    if (text != NULL && record_write(&records, RECORD_STATE, 0, time_ns, text, (uint32_t)strlen(text)) == 0)
        keep(&records);
}

static size_t output_room(struct child *child)
{
    (void)child;
    return followers_behind() ? 0 : READ_BYTES;
}

static void output_came(struct child *child, int stream, const uint8_t *bytes, size_t length)
{
    (void)child;
    struct ring records = { 0 };
    if (record_cut(&command.cutters[stream], record_time(), bytes, length, &records) < 0)
        log_line("output is lost: no memory");
    keep(&records);
}

static void progress(void)
{
    if (command.phase == COMMAND_RUNNING || command.phase == COMMAND_ENDING)
        child_output_room(&command.child);
}

/* ---- followers ---- */

static bool follower_frame(struct session *session, uint8_t kind, const uint8_t *content, size_t length)
{
    (void)session;
    bool begins = command.phase == COMMAND_NEVER || command.phase == COMMAND_STARTING;
    uint16_t size[2];
    switch (kind) {
    case SESSION_INPUT:
        /* What is typed before the command runs is for the command. */
        return !begins && (command.phase != COMMAND_RUNNING || child_write(&command.child, content, length));
    case SESSION_INPUT_END:
        if (command.phase == COMMAND_RUNNING)
            child_end_input(&command.child);
        return !begins;
    case SESSION_RESIZE:
        if (length == sizeof(size)) {
            memcpy(size, content, sizeof(size));
            command_resize(size[0], size[1]);
        }
        return true;
    default:
        return true;
    }
}

static void begin_following(struct session *session, const json_t *params, uint64_t position, uint64_t limit)
{
    struct follower_options options = {
        .position = position,
        .limit = limit,
        .holds = json_is_true(json_object_get(params, "holds")),
        .frame = follower_frame,
    };
    follower_begin(session, options);
}

void command_follow(struct session *session, const json_t *params)
{
    struct failure failure;
    struct log_tail start = { .position = record_log_end(command.log) };
    uint64_t end = start.position;
    const json_t *from = json_object_get(params, "from"), *tail = json_object_get(params, "tail");
    int result = 0;
    if (json_is_integer(from))
        start.position = (uint64_t)json_integer_value(from);
    else if (json_is_integer(tail) && json_integer_value(tail) >= 0)
        result = record_log_tail(command.log, (uint64_t)json_integer_value(tail), &start);
    if (result < 0) {
        fail_errno(&failure, result, PHASE_IO, "read the log");
        session_send_failure(session, &failure);
        session_finish(session);
        return;
    }
    if (start.position < record_log_first(command.log))
        start.position = record_log_first(command.log);
    json_t *reply = command_state();
    json_object_set_new(reply, "position", json_integer((json_int_t)start.position));
    json_object_set_new(reply, "skip", json_integer((json_int_t)start.lines));
    session_send_json(session, SESSION_REPLY, reply);
    begin_following(session, params, start.position,
                    json_is_true(json_object_get(params, "follow")) ? UINT64_MAX : end);
}

/* ---- start ---- */

static void resume_input(void)
{
    for (struct session *session = session_first(), *next; session != NULL; session = next) {
        next = session->next;
        session_resume(session);
    }
}

static void input_room(struct child *child)
{
    (void)child;
    resume_input();
}

static void started(struct child *child)
{
    struct session *starter = command.starter;
    command.phase = COMMAND_RUNNING;
    command.run++;
    command.started_ns = record_time();
    command.code = command.signal = 0;
    command.oom_killed = false;
    uint64_t position = record_log_end(command.log);
    keep_state(command.started_ns,
               json_pack("{s:s, s:i, s:i}", "event", "started", "run", (int)command.run, "pid", (int)child->pid));
    command.starter = NULL;
    if (starter == NULL)
        return;
    json_t *reply = command_state();
    json_object_set_new(reply, "position", json_integer((json_int_t)position));
    json_object_set_new(reply, "skip", json_integer(0));
    session_send_json(starter, SESSION_REPLY, reply);
    if (starter->dead)
        return;
    auto_json follow = starter->owner;
    starter->owner = NULL;
    if (command.follows)
        begin_following(starter, follow, position, UINT64_MAX);
    else
        session_finish(starter);
}

static void failed(struct child *child, const struct failure *failure)
{
    (void)child;
    struct session *starter = command.starter;
    command.phase = command.run == 0 ? COMMAND_NEVER : COMMAND_EXITED;
    command.starter = NULL;
    if (starter == NULL)
        return;
    session_send_failure(starter, failure);
    session_finish(starter);
}

static void exited(struct child *child);
static void ended(struct child *child);

static const struct child_events child_events = {
    .started = started,
    .failed = failed,
    .room = output_room,
    .output = output_came,
    .exited = exited,
    .ended = ended,
    .input_room = input_room,
};

/* While it starts nothing else is asked in the session, and what it asked for is its owner. */
static bool starter_frame(struct session *session, uint8_t kind, const uint8_t *content, size_t length)
{
    (void)session;
    (void)content;
    (void)length;
    return kind == SESSION_REQUEST;
}

static void starter_room(struct session *session)
{
    (void)session;
}

static void starter_closed(struct session *session)
{
    if (command.starter == session)
        command.starter = NULL;
    json_decref(session->owner);
    session->owner = NULL;
}

static const struct session_events starter_events = { .frame = starter_frame,
                                                      .room = starter_room,
                                                      .closed = starter_closed };

/* What the kubelet chose stays, unless something is asked for: without CAP_SYS_RESOURCE it can't be lowered. */
static int present_oom_score_adj(void)
{
    auto_file file = fopen("/proc/self/oom_score_adj", "re");
    int value = 0;
    return file != NULL && fscanf(file, "%d", &value) == 1 ? value : 0;
}

int command_read_spec(const json_t *params, struct process_spec *spec, struct failure *failure)
{
    int result = process_spec_read(params, spec, failure);
    if (result < 0)
        return result;
    if (spec->oom_score_adj == 0)
        spec->oom_score_adj = present_oom_score_adj();
    /* It is the Pod's, which all of its processes have already; only root of the node may install another. */
    if (spec->seccomp == SECCOMP_DEFAULT)
        spec->seccomp = SECCOMP_UNCONFINED;
    return 0;
}

/* As Docker does; where it can't be made, that it isn't there is said of the start. */
static void make_directory(const char *path)
{
    char part[PATH_MAX];
    if (*path != '/' || strlen(path) >= sizeof(part))
        return;
    strcpy(part, path);
    for (char *slash = part; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
        *slash = '\0';
        mkdir(part, 0755);
    }
    mkdir(part, 0755);
}

static int start(const json_t *params, struct failure *failure)
{
    struct process_spec spec;
    if (command.phase != COMMAND_NEVER && command.phase != COMMAND_EXITED)
        return fail(failure, EALREADY, PHASE_REQUEST, "the command is running already");
    if (sockets_ready(failure) < 0)
        return -1;
    int result = command_read_spec(params, &spec, failure);
    if (result == 0) {
        bool input = json_is_true(json_object_get(params, "openStdin"));
        struct child_launch launch = { .spec = &spec, .streams = { input, true, true } };
        const json_t *log = json_object_get(params, "log");
        struct record_log_bounds bounds = {
            .most_bytes = (uint64_t)json_integer_value(json_object_get(log, "maxBytes")),
            .most_files = (unsigned)json_integer_value(json_object_get(log, "maxFiles")),
            .line_bytes = (unsigned)json_integer_value(json_object_get(log, "lineBytes")),
        };
        record_log_limit(command.log, bounds);
        command.is_first = json_is_true(json_object_get(params, "isFirst"));
        command.child = (struct child){ .events = &child_events, .rows = spec.rows, .columns = spec.columns };
        /* Records go as a whole: they must be small beside a file. */
        size_t joined = (size_t)command.log->most_bytes / (8 * (bounds.line_bytes + 1)) + 1;
        command.cutters[0] = (struct record_cutter){ .kind = RECORD_STDOUT, .joined = joined };
        command.cutters[1] = (struct record_cutter){ .kind = RECORD_STDERR, .joined = joined };
        command.oom_kills = oom_kills();
        make_directory(spec.cwd);
        result = child_start(&command.child, &launch, failure);
    }
    process_spec_free(&spec);
    return result;
}

void command_start(struct session *session, const json_t *params)
{
    struct failure failure;
    if (start(params, &failure) < 0) {
        session_send_failure(session, &failure);
        session_finish(session);
        return;
    }
    command.phase = COMMAND_STARTING;
    command.starter = session;
    const json_t *follow = json_object_get(params, "follow");
    command.follows = json_is_object(follow);
    session->owner = json_deep_copy(command.follows ? follow : params);
    session->events = &starter_events;
}

/* ---- signals ---- */

/* Whether a process has a handler for the signal. */
static bool catches(pid_t pid, int signal)
{
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    auto_file file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "SigCgt:", 7) == 0)
            return (strtoull(line + 7, NULL, 16) >> (signal - 1) & 1) != 0;
    return true;
}

int command_signal(int signal, struct failure *failure)
{
    if (signal < 1 || signal > 64)
        return fail(failure, EINVAL, PHASE_REQUEST, "signal %d", signal);
    bool forced = signal == SIGKILL || signal == SIGSTOP || signal == SIGCONT;
    if (command.phase == COMMAND_RUNNING && command.is_first && !forced && !catches(command.child.pid, signal))
        return 0;
    return child_signal(&command.child, signal, failure);
}

void command_resize(uint16_t rows, uint16_t columns)
{
    if (command.phase == COMMAND_RUNNING)
        child_resize(&command.child, rows, columns);
}

void command_signalled(int signal, bool from_outside)
{
    struct failure failure;
    command.leaving |= from_outside;
    if (command.phase == COMMAND_RUNNING && from_outside)
        child_signal(&command.child, signal, &failure); /* nothing is gained by waiting until it is killed */
    else if (command.phase == COMMAND_STARTING || command.phase == COMMAND_RUNNING)
        command_signal(signal, &failure);
    else if (from_outside && command.phase != COMMAND_ENDING)
        exit(0);
}

/* ---- the end ---- */

static void tell_exit(void)
{
    struct ring records = { 0 };
    for (int i = 0; i < 2; i++)
        record_cut_end(&command.cutters[i], record_time(), &records);
    keep(&records);
    command.phase = COMMAND_EXITED;
    keep_state(command.finished_ns,
               json_pack("{s:s, s:i, s:i, s:i, s:b}", "event", "exited", "run", (int)command.run, "code", command.code,
                         "signal", command.signal, "oom", command.oom_killed));
    resume_input(); /* what is typed now is for nobody */
    if (command.leaving)
        exit(command.code);
}

/* Others may make new ones while they are killed. */
static void sweep_again(struct timer *timer)
{
    bool found = sweep_kill();
    if (found && ++command.sweeps < SWEEPS)
        timer_start(timer, SWEEP_MS);
    else if (command.child.state == CHILD_OVER)
        tell_exit();
    else if (found) /* one that can't be killed holds the output open */
        child_leave(&command.child);
}

static void exited(struct child *child)
{
    command.phase = COMMAND_ENDING;
    command.finished_ns = child->exited_ns;
    command.code = child_code(child);
    command.signal = child_signal_of_exit(child);
    command.oom_killed = oom_kills() > command.oom_kills;
    command.sweeps = 0;
    command.sweeping.fire = sweep_again;
    sweep_kill();
    timer_start(&command.sweeping, 0);
}

static void ended(struct child *child)
{
    (void)child;
    if (!command.sweeping.armed)
        tell_exit();
}

void command_open(struct record_log *log)
{
    command.log = log;
    followers_open(log, progress);
}
