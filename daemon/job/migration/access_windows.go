package migration

// writable is only known by trying on Windows, which has access lists: the attempt finds out.
func writable(string) error { return nil }
