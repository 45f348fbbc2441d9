package main

import (
	"fmt"
	"path/filepath"
	"regexp"
)

// windows packs the installer and a zip for each architecture.
func (r *release) windows() error {
	if err := need("makensis", "nsis"); err != nil {
		return err
	}
	for _, p := range platforms {
		if p.os != "windows" {
			continue
		}
		name := fmt.Sprintf("melon-%s-windows-%s", r.fileVersion(), p.arch)
		t, err := r.newTree(name)
		if err != nil {
			return err
		}
		if err := r.layOutCommon(t, p); err != nil {
			return err
		}
		if err := t.copy("melon.ico", "packaging/icons/files/melon.ico", 0o644); err != nil {
			return err
		}
		if err := t.zip(filepath.Join(r.out, name+".zip"), name); err != nil {
			return err
		}
		numbers := regexp.MustCompile(`^\d+\.\d+\.\d+`).FindString(r.version) + ".0"
		env := []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.date.Unix())}
		err = command(env, "makensis", "-V2", "-INPUTCHARSET", "UTF8", "-DVERSION="+r.version, "-DNUMBERS="+numbers, "-DARCH="+p.arch, "-DSOURCE="+t.dir,
			"-DOUT="+filepath.Join(r.out, name+"-setup.exe"), "packaging/windows/melon.nsi")
		if err != nil {
			return err
		}
	}
	return nil
}
