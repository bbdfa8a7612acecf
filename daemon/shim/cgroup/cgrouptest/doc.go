// Package cgrouptest gives tests a control group of their own, as a service manager hands one over.
//
// # Design
//
// The kernel's own, below a mount that is there or one of the test's: a folder that only looks like a control group would not show whether
// a process can be born in it. Rejected: a service manager for it (a test would need one as process 1).
package cgrouptest
