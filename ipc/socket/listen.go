package socket

// Option changes how [Listen] opens the door.
type Option func(*access)

// access is who may come in, besides root.
type access struct {
	system bool
}

// ForSystem opens it to the members of the socket's group too, as a system service does: folder 0750,
// socket 0660 (on Windows: administrators). Without it only the user himself may come in.
func ForSystem() Option { return func(a *access) { a.system = true } }

func newAccess(opts []Option) access {
	var a access
	for _, o := range opts {
		o(&a)
	}
	return a
}
