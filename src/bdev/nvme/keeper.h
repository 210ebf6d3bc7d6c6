/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper - a thread that looks after one controller, and sleeps unless it is called; every few
 * seconds it looks whether the controller reports something, and asks for its health.
 *
 * A reactor that finds a command overdue, or an answer that it did not ask for, calls the keeper and
 * goes on. The keeper has the command aborted; if that is of no use it resets the controller, and
 * what was in flight is sent again. A controller that is gone, or does not come back, is declared
 * dead: it is halted, and from then on everything fails.
 */
#ifndef XENBLKD_NVME_KEEPER_H
#define XENBLKD_NVME_KEEPER_H

struct ctrl;
struct keeper;

/* keeper_start - Thread: control. Return: 0 or -errno. */
int keeper_start(struct ctrl *c, struct keeper **out);

/* keeper_stop - waits for it to end. Thread: control. */
void keeper_stop(struct keeper *k);

/* keeper_call - asks it to look. Thread: any. */
void keeper_call(struct keeper *k);

#endif
