// Package manpage writes the manual pages of a program, one for each of its commands, out of what --help says.
//
// # Design
//
// The pages are made when a package is built, by a hidden command of the program itself, and are in no repository: what is
// generated from the commands cannot be older than they are. cobra's own generator does it. It reads the long texts as Markdown,
// which ours are not: what would mean something there is escaped first, and what is indented stays so. Rejected: pages written by
// hand, a second text to keep true.
package manpage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"durable/ipc/task"
)

// Command returns the hidden command that writes the pages of root into a folder. Section is "1" for programs that people use,
// "8" for those that the system runs. Root is called when the command runs: the tree that it returns is changed.
func Command(section string, root func() *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Hidden: true, Args: cobra.ExactArgs(1),
		Short: "Write the manual pages into a folder",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := Write(root(), section, args[0]); err != nil {
				return task.Errorf(task.FailedPrecondition, "manual pages: %w", err).WithHint("name a folder that you can write to")
			}
			return nil
		},
	}
}

// Write writes the pages into dir, which it makes. Hidden commands have none. The date on them is SOURCE_DATE_EPOCH's, where that is
// set, so that a build can be repeated.
func Write(root *cobra.Command, section, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	literally(root, map[*pflag.Flag]bool{})
	header := doc.GenManHeader{
		Section: section, Source: "durable " + task.Version(), Manual: "durable",
	}
	if err := doc.GenManTree(root, &header, dir); err != nil {
		return err
	}
	first := filepath.Join(dir, root.Name()+"."+section)
	if _, err := os.Stat(first); err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	return nil
}

// literally makes every text of cmd and below one that Markdown reads as it is. A flag that commands have in common is met more than
// once: seen has those that are done.
func literally(cmd *cobra.Command, seen map[*pflag.Flag]bool) {
	cmd.DisableAutoGenTag = true
	cmd.Short = escape(cmd.Short)
	cmd.Long = paragraphs(cmd.Long)
	flag := func(f *pflag.Flag) {
		if !seen[f] {
			seen[f] = true
			f.Usage = escape(f.Usage)
		}
	}
	cmd.Flags().VisitAll(flag)
	cmd.PersistentFlags().VisitAll(flag)
	for _, sub := range cmd.Commands() {
		literally(sub, seen)
	}
}

// escape takes their meaning from the characters that have one in the middle of a line, but for backticks: with those, a flag names its
// argument.
var escape = strings.NewReplacer(
	`\`, `\\`, "*", `\*`, "_", `\_`, "<", `\<`, ">", `\>`, "&", `\&`, "[", `\[`, "]", `\]`, "~", `\~`,
).Replace

// paragraphs escapes a long text line by line. Lines that are indented are an example or a table, which is left as it is.
func paragraphs(text string) string {
	lines := strings.Split(text, "\n")
	var out []string
	for i, line := range lines {
		if !strings.HasPrefix(line, "  ") {
			out = append(out, escape(line))
			continue
		}
		if i > 0 && lines[i-1] != "" && !strings.HasPrefix(lines[i-1], "  ") {
			out = append(out, "") // Markdown wants a line between
		}
		out = append(out, "    "+strings.TrimPrefix(line, "  "))
	}
	return strings.Join(out, "\n")
}
