package install

import (
	"context"

	"durable/ipc/socket"
)

// accountName: no user is made here. Windows has an account for services that may little, LocalService.
const accountName = ""

// makeAccount makes the folder of the service, which its account must not share with anybody.
func makeAccount(context.Context, func(string, ...any)) error {
	return makeFolder(socket.SystemPaths().State)
}
