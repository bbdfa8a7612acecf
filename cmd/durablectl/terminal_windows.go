package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// enableColor makes the console f understand colours and reports whether it does: old ones do not.
func enableColor(f *os.File) bool {
	h := windows.Handle(f.Fd())
	var mode uint32
	if windows.GetConsoleMode(h, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
