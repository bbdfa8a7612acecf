package main

func atTerminal() bool { return false }

// hangups: there is no such signal; durablectl reload does it.
func hangups(func(), func() bool) (reload <-chan struct{}, stop func()) { return nil, func() {} }
