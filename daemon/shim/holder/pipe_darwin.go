package holder

import "golang.org/x/sys/unix"

func pipe(p *[2]int) error {
	if err := unix.Pipe(p[:]); err != nil {
		return err
	}
	unix.CloseOnExec(p[0])
	unix.CloseOnExec(p[1])
	return nil
}

func dup(from, to int) error { return unix.Dup2(from, to) }
