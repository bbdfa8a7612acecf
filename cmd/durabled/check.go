package main

import (
	"encoding/json"
	"os"
	"time"

	"github.com/spf13/cobra"

	"durable/daemon/store"
	"durable/ipc/socket"
)

// checkPatience is how long a store that is being closed is waited for.
const checkPatience = time.Second

// checkCommand is what durablectl doctor runs: in a process of its own, since a damaged file can end it.
func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE]", Short: "Check the store, or a backup of it", Args: cobra.MaximumNArgs(1),
		Long: "Look at every page and every record of the store, while no daemon runs, or of a backup, and write\n" +
			"nothing. durablectl doctor does it too, while a daemon runs, by way of a backup.",
		RunE: func(_ *cobra.Command, args []string) error {
			paths, err := socket.DefaultPaths()
			if err != nil {
				return err
			}
			file := paths.Store
			if len(args) > 0 {
				file = args[0]
			}
			checked, err := store.Check(file, checkPatience)
			if err != nil {
				return err
			}
			return json.NewEncoder(os.Stdout).Encode(checked)
		},
	}
}
