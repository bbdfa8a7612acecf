package install

import (
	"encoding/xml"
	"fmt"
	"strings"

	"durable/ipc/socket"
)

// Plist returns the property list with which launchd runs the daemon at program.
//
// KeepAlive has SuccessfulExit false: launchd knows no status that means "leave it stopped" but 0. So a daemon that is asked to
// come back leaves with task.ExitRestart there.
func Plist(program string, paths socket.Paths, system bool) (string, error) {
	if _, err := escapeValue(program); err != nil {
		return "", err
	}
	args := []string{program, "run", "--lives", "service"}
	if system {
		args = []string{program, "run", "--system", "--lives", "service"}
	}
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Written by ` + mark + `, which writes it anew -->
<plist version="1.0">
<dict>
`)
	key := func(name, value string) { fmt.Fprintf(&b, "\t<key>%s</key>\n\t%s\n", name, value) }
	key("Label", text(Name))
	b.WriteString("\t<key>ProgramArguments</key>\n\t<array>\n")
	for _, arg := range args {
		b.WriteString("\t\t" + text(arg) + "\n")
	}
	b.WriteString("\t</array>\n")
	key("RunAtLoad", "<true/>")
	key("KeepAlive", "<dict>\n\t\t<key>SuccessfulExit</key>\n\t\t<false/>\n\t</dict>")
	key("ThrottleInterval", "<integer>5</integer>")
	key("ExitTimeOut", "<integer>30</integer>")
	key("AbandonProcessGroup", "<true/>")
	key("ProcessType", text("Standard"))
	if system {
		key("UserName", text(launchdUser))
		key("GroupName", text(launchdUser))
		key("Umask", "<integer>63</integer>") // 0077
	} else {
		key("LimitLoadToSessionType", "<array>\n\t\t"+text("Aqua")+"\n\t\t"+text("Background")+"\n\t</array>")
	}
	key("WorkingDirectory", text(paths.State))
	key("StandardOutPath", text(paths.Log))
	key("StandardErrorPath", text(paths.Log))
	b.WriteString("</dict>\n</plist>\n")
	return b.String(), nil
}

// launchdUser: by custom, users of services have an underscore there.
const launchdUser = "_" + Name

func text(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // of memory: it cannot fail
	return "<string>" + b.String() + "</string>"
}
