package cgroup

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Delegated returns the folder of the caller's own control group, if that was handed over to it and programs can be started in groups
// below it; else nothing.
func Delegated() string {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	for _, dir := range folders(string(own), string(mounts)) {
		if marked(dir) && contains(dir, os.Getpid()) && usable(dir) {
			return dir
		}
	}
	return ""
}

// folders returns where the control group of version 2 may lie that own, a /proc/PID/cgroup, names: below each mount of it.
func folders(own, mountinfo string) (dirs []string) {
	path, found := "", false
	for line := range strings.Lines(own) {
		if rest, ok := strings.CutPrefix(line, "0::"); ok {
			path, found = strings.TrimSuffix(rest, "\n"), true
		}
	}
	if !found || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "/..") || strings.HasSuffix(path, " (deleted)") {
		return nil
	}
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		f := strings.Fields(before)
		if len(f) < 5 || !strings.HasPrefix(after, "cgroup2 ") {
			continue
		}
		root, point := strings.TrimSuffix(unescape(f[3]), "/"), unescape(f[4])
		rest, ok := strings.CutPrefix(path, root)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		dirs = append(dirs, strings.TrimSuffix(strings.TrimSuffix(point, "/")+rest, "/"))
	}
	return dirs
}

// unescape undoes the \040 of a mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// attributes are what a service manager sets to 1.
var attributes = []string{"user.delegate", "trusted.delegate"}

// marked reports whether a group was handed over.
func marked(dir string) bool {
	var value [2]byte
	return slices.ContainsFunc(attributes, func(name string) bool {
		n, err := unix.Getxattr(dir, name, value[:])
		return err == nil && n == 1 && value[0] == '1'
	})
}

// contains reports whether a process is in a group: else its folder is that of another, and the mounts have fooled us.
func contains(dir string, pid int) bool {
	text, err := os.ReadFile(dir + "/" + fileProcs)
	return err == nil && slices.Contains(strings.Fields(string(text)), strconv.Itoa(pid))
}

// usable reports whether groups can be made in dir, and processes started in them. Once a group was killed, the kernel (seen in 6.18)
// also kills whatever a process of that group starts in one that is newer: every program would end as it begins.
func usable(dir string) bool {
	g, err := Make(dir, "durable-probe-"+strconv.Itoa(os.Getpid()))
	if err != nil {
		return false
	}
	defer func() { _ = Remove(g, probePatience) }()
	f, err := Open(g)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	// A folder cannot be run, which is the child's to say. One that was killed says nothing, as one that runs.
	p, err := os.StartProcess("/", []string{"/"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd())}})
	if err == nil {
		_, _ = p.Wait()
	}
	return errors.Is(err, unix.EACCES)
}

// probePatience is how long a group may count the process that was tried in it.
const probePatience = 20 * time.Millisecond
