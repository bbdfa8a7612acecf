package holder

import "golang.org/x/sys/unix"

func pipe(p *[2]int) error { return unix.Pipe2(p[:], unix.O_CLOEXEC) }

func dup(from, to int) error { return unix.Dup3(from, to, 0) }
