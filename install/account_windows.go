package install

import "context"

// makeAccount: Windows has an account for services that may little, LocalService.
func makeAccount(context.Context, func(string, ...any)) error { return nil }
