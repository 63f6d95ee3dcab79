/* Once after the start: the attempt directories that a crash left are removed, when the journal knows nothing of their
 * executions any more. A thread of its own; what it has not done by the end, the next start does.
 *
 * A directory is made after its execution's rows and removed before them, so one that was there before its execution
 * had none belongs to nobody. Where the database cannot be asked, everything stays. */
#pragma once
#include "propeller.h"

struct sweeper *sweeper_start(struct propeller *p);
void sweeper_stop(struct sweeper *s); /* NULL is fine */
