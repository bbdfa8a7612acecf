// Package logfile has the files that programs write their output to.
//
// # Design
//
// A stub: what the holder of a command calls.
package logfile
