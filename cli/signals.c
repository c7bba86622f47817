/* cli/signals.c — see signals.h. */
#include "cli/signals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"

static void
mask_fill(sigset_t *mask, bool hangup)
{
    sigemptyset(mask);
    sigaddset(mask, SIGINT);
    sigaddset(mask, SIGTERM);
    if (hangup) {
        sigaddset(mask, SIGHUP);
    }
}

int
rmill_signals_start(struct rmill_signals *signals)
{
    sigset_t mask;
    int code;

    *signals = (struct rmill_signals){.signal_fd = -1, .wake_fd = -1};
    mask_fill(&mask, true);
    signals->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals->signal_fd < 0) {
        return -errno;
    }
    signals->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (signals->wake_fd < 0) {
        code = -errno;
        close(signals->signal_fd);
        signals->signal_fd = -1;
        return code;
    }
    (void)pthread_sigmask(SIG_BLOCK, &mask, &signals->mask_before);
    return 0;
}

/* The first signal is a request; from then on SIGINT and SIGTERM end the process. SIGHUP stays
 * blocked: when a terminal goes, the kernel and the shell both send one. */
static void
stop_request(struct rmill_signals *signals)
{
    struct signalfd_siginfo info;
    sigset_t mask;

    if (signals->stop_signal != 0 ||
        read(signals->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
        return;
    }
    signals->stop_signal = (int)info.ssi_signo;
    mask_fill(&mask, false);
    (void)pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
}

bool
rmill_signals_wait(struct rmill_signals *signals, uint64_t timeout_ns)
{
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / RMILL_NS_PER_S),
        .tv_nsec = (long)(timeout_ns % RMILL_NS_PER_S),
    };
    struct pollfd fds[2] = {
        {.fd = signals->wake_fd, .events = POLLIN},
        /* After the first signal a second SIGHUP would make this readable for good. */
        {.fd = signals->stop_signal == 0 ? signals->signal_fd : -1, .events = POLLIN},
    };
    uint64_t wakes;

    if (ppoll(fds, RMILL_ARRAY_COUNT(fds), &timeout, NULL) > 0) {
        if ((fds[0].revents & POLLIN) != 0 &&
            read(signals->wake_fd, &wakes, sizeof(wakes)) != (ssize_t)sizeof(wakes)) {
            wakes = 0; /* Somebody else's read got it: impossible, and harmless. */
        }
        if ((fds[1].revents & POLLIN) != 0) {
            stop_request(signals);
        }
    }
    return signals->stop_signal != 0;
}

void
rmill_signals_wake(struct rmill_signals *signals)
{
    uint64_t one = 1;

    /* EAGAIN means that the counter is full, so that the wait ends anyway. */
    if (write(signals->wake_fd, &one, sizeof(one)) != (ssize_t)sizeof(one)) {
        return;
    }
}

void
rmill_signals_stop(struct rmill_signals *signals)
{
    if (signals->signal_fd < 0) {
        return;
    }
    (void)pthread_sigmask(SIG_SETMASK, &signals->mask_before, NULL);
    close(signals->signal_fd);
    close(signals->wake_fd);
    signals->signal_fd = -1;
    signals->wake_fd = -1;
}
