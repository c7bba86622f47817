/* workloads/files/order.h — from the walk's order to the archive's: hard links, the order inside a
 * window.
 *
 * A hard link's target is the first of the inode's names in the walk. Over the windows a table
 * keeps the inodes of which more names may come; it forgets them when all have been seen. Cost: 80
 * bytes and the path for each of them.
 *
 * No I/O here, but for what `readable` does. Owner: one step at a time. */
#ifndef RMILL_FILES_ORDER_H
#define RMILL_FILES_ORDER_H

#include "workloads/files/pathname.h"
#include "workloads/files/window.h"

struct rmill_links;

struct rmill_links *rmill_links_create(void);        /* NULL out of memory. */
void rmill_links_destroy(struct rmill_links *links); /* Accepts NULL. */

/* Can the member be opened? 0 or -errno. Asked for the first name of a file with several, so that
 * no link points at what will not be there. */
typedef int rmill_order_readable(void *context, const struct rmill_member *member);

/* Turn the later names of an inode into hard links. One that `readable` refuses is dropped, with
 * its error; the next name takes its place. Returns 0 or -ENOMEM. */
int rmill_order_links(struct rmill_links *links, struct rmill_window *window,
                      rmill_order_readable *readable, void *context);

/* Fill window->order with the members that are not dropped. Returns 0 or -ENOMEM. */
int rmill_order_sort(struct rmill_window *window, enum rmill_pathname_order order);

#endif
