// Package install makes the daemon a service of the operating system, so that it is there after a reboot: a unit of
// systemd, an agent of launchd, on Windows a service or a task at logon. By default it is the user's own; with
// Options.System it is the machine's, under a user of its own.
//
// What is registered never points at the folder where somebody built or unpacked durable. The four programs are copied into
//
//	LIB/VERSION-SUM/     the programs of one version; SUM is of their contents
//	LIB/current          a link to the one in force (on Windows a folder)
//
// where LIB is ~/.local/lib/durable, for the system /usr/local/lib/durable. The unit names LIB/current/durabled, so an
// upgrade is: copy beside, turn the link, restart. The version before stays, which is the way back.
//
// # Design
//
// Everything is looked at and rendered before anything is changed, and each change knows how to be undone: an install that
// fails leaves what was there. An upgrade whose daemon does not answer turns the link back and starts the old one.
//
// github.com/kardianos/service talks to the service managers. It is given whole texts of ours, without a key of its
// template language: it has no options for KillMode, WantedBy, Delegate or AbandonProcessGroup, escapes less than systemd
// reads, and creates the file before it renders it. Its Install is for a file that is not there; one that is there is replaced
// here, by rename. It takes the text from us, so both come to the same.
//
// What matters in the unit: KillMode=process leaves programs alone at a restart (they are held by durable-shim and found
// again), OOMPolicy=continue keeps the daemon up when one of them takes too much, StartLimitIntervalSec=0 never gives up,
// Delegate=yes lets the daemon have control groups below its own. It enables no controller there: with one
// enabled, the next start beside programs that live fails with EBUSY.
//
// Rejected: each program in a scope of its own (a call to D-Bus for each, and polkit for the system's), the library's own
// unit (its restart kills every program, and after a crash the daemon is away for two minutes), packages' ways of replacing
// programs in place (a running one cannot be on Windows, and what runs would find another version's durable-shim).
//
// It never makes jobs run as root: the system's service has a user and a group durable, and members of the group may use it.
package install
