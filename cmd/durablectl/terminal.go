package main

import (
	"os"

	"golang.org/x/term"

	"durable/cmd/durablectl/internal/render"
)

// terminal returns what can be drawn on f: nothing but plain text, unless it is a terminal.
func terminal(f *os.File) render.Screen {
	fd := int(f.Fd())
	if !term.IsTerminal(fd) || os.Getenv("TERM") == "dumb" {
		return render.Screen{}
	}
	const usual = 80
	width, _, err := term.GetSize(fd)
	if err != nil || width <= 0 {
		width = usual
	}
	return render.Screen{Width: width, Color: os.Getenv("NO_COLOR") == "" && enableColor(f)}
}
