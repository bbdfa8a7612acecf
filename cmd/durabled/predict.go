package main

import (
	"os"

	"github.com/spf13/cobra"

	"durable/daemon/job/training"
)

// predictCommand asks a model: durablectl predict runs it, so that what computes is in one program only.
func predictCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "predict --model FILE", Short: "Ask a model: JSON lines in, JSON lines out", Args: cobra.NoArgs, Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			m, err := training.OpenModel(file)
			if err != nil {
				return err
			}
			defer m.Close()
			return m.PredictLines(os.Stdin, os.Stdout)
		},
	}
	cmd.Flags().StringVar(&file, "model", "", "the model's `FILE`")
	if err := cmd.MarkFlagRequired("model"); err != nil {
		panic(err) // no such flag: a slip in this program
	}
	return cmd
}
