/* A process's standard streams: pipes or a terminal on one side, channels on the other. */
#include "process/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "wire/channel.h"

/* How long children that hold the output open may delay the report of their parent's exit (docs/agent-protocol.md). */
#define GRACE_MS 100

static void close_source(struct source *source)
{
    loop_remove(source);
    drop_fd(&source->fd);
}

static void pause_source(struct source *source)
{
    /* Not just "no events": a hang-up would still be reported, over and over. */
    loop_remove(source);
}

/* ---- output ---- */

static bool output_open(const struct output *output)
{
    return output->source.fd >= 0 && output->channel != NULL;
}

static void check_ended(struct stdio *stdio)
{
    if (!stdio->leaving || output_open(&stdio->outputs[0]) || output_open(&stdio->outputs[1]))
        return;
    stdio->leaving = false;
    timer_stop(&stdio->grace);
    stdio->ended(stdio);
}

static void end_output(struct output *output)
{
    if (output->channel != NULL) {
        struct channel *channel = output->channel;
        output->channel = NULL;
        channel_end(channel);
        channel_release(channel);
    }
    check_ended(output->stdio);
}

/* Reads what there is. Returns true when the stream has nothing now but may have more later. */
static bool pump(struct output *output)
{
    static uint8_t waste[16384];
    for (;;) {
        ssize_t got;
        if (output->channel == NULL) {
            got = read(output->source.fd, waste, sizeof(waste));
            if (got < 0)
                got = -errno;
        } else if (channel_room(output->channel) == 0) {
            pause_source(&output->source);
            return false;
        } else {
            got = channel_fill(output->channel, output->source.fd);
        }
        if (got > 0)
            continue;
        if (got == -EINTR)
            continue;
        if (got == -EAGAIN)
            return true;
        if (got == -ENOMEM) {
            pause_source(&output->source); /* an acknowledgement frees memory and wakes it */
            return false;
        }
        close_source(&output->source); /* end of a pipe, or EIO of a terminal nobody holds */
        end_output(output);
        return false;
    }
}

static void output_ready(struct source *source, uint32_t events)
{
    (void)events;
    pump(CONTAINER_OF(source, struct output, source));
}

static bool still_delayed(struct stdio *stdio)
{
    bool quiet = false;
    for (int i = 0; i < 2; i++)
        if (output_open(&stdio->outputs[i]))
            quiet |= pump(&stdio->outputs[i]);
    return quiet;
}

static void output_room(void *owner)
{
    struct output *output = owner;
    if (output->source.fd < 0 || output->source.watched)
        return;
    loop_add(&output->source, EPOLLIN);
    struct stdio *stdio = output->stdio;
    if (stdio->leaving && !stdio->grace.armed && still_delayed(stdio))
        timer_start(&stdio->grace, GRACE_MS);
}

static const struct channel_user output_user = { .room = output_room };

static void grace_over(struct timer *timer)
{
    struct stdio *stdio = CONTAINER_OF(timer, struct stdio, grace);
    /* On a busy host the time is over before anything else was done: what is there by now counts. */
    still_delayed(stdio);
    /* The rest of what background children write is read and thrown away: closing would kill them by SIGPIPE. */
    for (int i = 0; i < 2 && stdio->leaving; i++)
        if (output_open(&stdio->outputs[i]) && stdio->outputs[i].source.watched)
            end_output(&stdio->outputs[i]);
}

/* ---- input ---- */

static void close_input(struct input *input)
{
    close_source(&input->source);
    if (input->channel != NULL) {
        struct channel *channel = input->channel;
        input->channel = NULL;
        channel_release(channel);
    }
}

static void feed(struct input *input)
{
    const uint8_t *bytes = NULL;
    size_t length;
    while ((length = ring_front(&input->channel->in, &bytes)) > 0) {
        ssize_t done = write(input->source.fd, bytes, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EAGAIN) {
            if (!input->source.watched)
                loop_add(&input->source, EPOLLOUT);
            return;
        }
        if (done <= 0) { /* EPIPE: the process has closed its end */
            close_input(input);
            return;
        }
        channel_consume(input->channel, (size_t)done);
    }
    loop_remove(&input->source);
    /* Closing a terminal's input is not an end that a program would see; Docker leaves it open, too. */
    if (input->channel->in_ended && !input->stdio->terminal)
        close_input(input);
}

static void input_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct input *input = CONTAINER_OF(source, struct input, source);
    if (input->channel != NULL)
        feed(input);
}

static void input_arrived(void *owner)
{
    struct input *input = owner;
    if (input->source.fd >= 0 && input->channel != NULL)
        feed(input);
}

static const struct channel_user input_user = { .input = input_arrived };

/* ---- both ---- */

static int busy(uint32_t id, struct failure *failure)
{
    return fail(failure, EEXIST, PHASE_REQUEST, "channel %u is in use", id);
}

static int make_pipe(int *ours, int *theirs, bool we_read, struct failure *failure)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fail_errno(failure, errno, PHASE_IO, "pipe");
    *ours = ends[we_read ? 0 : 1];
    *theirs = ends[we_read ? 1 : 0];
    fcntl(*ours, F_SETFL, O_NONBLOCK);
    return 0;
}

static int open_output(struct stdio *stdio, int index, uint32_t id, struct child_stdio *child, struct failure *failure)
{
    struct output *output = &stdio->outputs[index];
    if (id == 0)
        return 0;
    output->channel = channel_open(id, true, false, &output_user, output);
    if (output->channel == NULL)
        return busy(id, failure);
    stdio->output_ids[index] = id;
    if (stdio->terminal)
        return 0;
    int result = make_pipe(&output->source.fd, &child->fds[1 + index], true, failure);
    return result < 0 ? result : loop_add(&output->source, EPOLLIN);
}

static int open_input(struct stdio *stdio, uint32_t id, struct child_stdio *child, struct failure *failure)
{
    if (id == 0)
        return 0;
    struct input *input = &stdio->input;
    input->channel = channel_open(id, false, true, &input_user, input);
    if (input->channel == NULL)
        return busy(id, failure);
    if (stdio->terminal)
        return 0;
    return make_pipe(&input->source.fd, &child->fds[0], false, failure);
}

int stdio_open(struct stdio *stdio, const struct process_spec *spec, struct child_stdio *child, struct failure *failure)
{
    stdio->terminal = spec->terminal;
    stdio->grace = (struct timer){ .fire = grace_over };
    stdio->input = (struct input){ .source = { .fd = -1, .ready = input_ready }, .stdio = stdio };
    for (int i = 0; i < 2; i++)
        stdio->outputs[i] = (struct output){ .source = { .fd = -1, .ready = output_ready }, .stdio = stdio };
    *child = (struct child_stdio){ { -1, -1, -1 } };
    int result;
    if ((result = open_input(stdio, spec->input, child, failure)) < 0 ||
        (result = open_output(stdio, 0, spec->output, child, failure)) < 0 ||
        (result = open_output(stdio, 1, spec->terminal ? 0 : spec->error, child, failure)) < 0)
        return result;
    return 0;
}

void child_stdio_close(struct child_stdio *child)
{
    for (int i = 0; i < 3; i++)
        drop_fd(&child->fds[i]);
}

void stdio_attach_terminal(struct stdio *stdio, int master)
{
    fcntl(master, F_SETFL, O_NONBLOCK);
    /* A descriptor of its own for each direction, since epoll knows a descriptor once. */
    stdio->input.source.fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
    stdio->outputs[0].source.fd = master;
    loop_add(&stdio->outputs[0].source, EPOLLIN);
    if (stdio->input.channel != NULL && stdio->input.source.fd >= 0)
        feed(&stdio->input);
}

void stdio_leave(struct stdio *stdio)
{
    stdio->leaving = true;
    close_input(&stdio->input);
    for (int i = 0; i < 2; i++)
        if (stdio->outputs[i].source.fd < 0 && stdio->outputs[i].channel != NULL)
            end_output(&stdio->outputs[i]); /* a terminal that never came */
    if (stdio->leaving && still_delayed(stdio))
        timer_start(&stdio->grace, GRACE_MS);
    check_ended(stdio);
}

void stdio_close(struct stdio *stdio)
{
    stdio->leaving = false;
    timer_stop(&stdio->grace);
    close_input(&stdio->input);
    for (int i = 0; i < 2; i++) {
        close_source(&stdio->outputs[i].source);
        end_output(&stdio->outputs[i]);
    }
}
