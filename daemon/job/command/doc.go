// Package command is the kind that runs programs: any program, with arguments, folder, environment and input of the
// caller's choice, under a holder (package shim) that outlives the daemon. A [Template] is a kind that a user has
// defined of such a program.
//
// What is asked for is checked as far as it can be before the task is accepted: that the program is there and can be
// run, found on the PATH that it will have, and that its folder and its input exist.
//
// Of an attempt everything lies in its folder, in the files of package shim; Run finds there what has become of
// a program that was started by a daemon before. It returns success only for an exit status of 0 that the holder
// saw and nobody had asked the program to end.
//
// # Secrets
//
// The values of an environment never leave the secrets. Arguments do, except those that look like secrets: see
// [Mask]. What a task is to do in full (an order) is one secret; its parameters are what people may see of it.
//
// # Design
//
// The order is made once, by Prepare, and kept: the program that a person allowed is the one that every attempt runs,
// whatever PATH or a template say later. Rejected: parameters with holes that Run fills from the secrets, which has
// two ways to put a command together.
//
// A caller that brings no environment gets that of the login shell, as it is when the attempt starts: it is not copied
// into each task.
//
// An attempt that was committed and never started ends interrupted, like one that a reboot ended: it is queued again.
// Three of these in a row pause the task as a crash loop, which is right: whoever starts something that three daemons
// did not survive should not be the fourth. Rejected: starting it anew in the same folder, which is revoked so that a
// holder that comes late cannot run the program a second time.
//
// A checkpoint of a program is a change of the files in its checkpoint folder, seen by their times: programs need not
// tell us. It is looked for when there is something to read anyway, and where an attempt was interrupted.
//
// The limit on how many tasks of a user-defined kind run at once is a wait inside Run: the attempt is starting,
// its log says what it waits for, and it holds a slot. Rejected: a limit in the queue, which is better and needs
// queues of a kind's own; programs of other kinds only have to wait when all slots are taken by waiters. What was
// adopted runs already and is only counted.
package command
