/* cli/streams.h — standard streams that are there.
 *
 * A program started without one of the descriptors 0, 1 and 2 gets it from its first open: what it
 * prints would go into that file. */
#ifndef RMILL_CLI_STREAMS_H
#define RMILL_CLI_STREAMS_H

/* Give every standard descriptor that is closed a place holder that can be neither read nor
 * written (EBADF, as before). 0 or -errno of open(2). To be called before anything is opened.
 * Thread: the first, alone. */
int rmill_streams_hold(void);

#endif
