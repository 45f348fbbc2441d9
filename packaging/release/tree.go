package main

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// tree is a directory that is laid out before it is packed.
type tree struct {
	dir  string
	date time.Time
}

// newTree makes an empty one.
func (r *release) newTree(name string) (tree, error) {
	dir := filepath.Join(r.work, name)
	return tree{dir, r.date}, os.MkdirAll(dir, 0o755)
}

func (t tree) path(name string) string { return filepath.Join(t.dir, filepath.FromSlash(name)) }

// write adds a file.
func (t tree) write(name string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(t.path(name)), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(t.path(name), data, mode); err != nil {
		return err
	}
	if err := os.Chmod(t.path(name), mode); err != nil { // whatever the umask is
		return err
	}
	return os.Chtimes(t.path(name), t.date, t.date)
}

// copy adds a file from elsewhere.
func (t tree) copy(name, from string, mode fs.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return t.write(name, data, mode)
}

// gzip adds a compressed file, as gzip -9n does.
func (t tree) gzip(name string, data []byte) (err error) {
	if err := t.write(name, nil, 0o644); err != nil {
		return err
	}
	f, err := os.OpenFile(t.path(name), os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(data)
		err = cmp.Or(err, z.Close())
	}
	if err = cmp.Or(err, f.Close()); err != nil {
		return err
	}
	return os.Chtimes(t.path(name), t.date, t.date)
}

// walk calls f for each file and directory below, in the order of names, with
// paths that begin with top.
func (t tree) walk(top string, f func(name, path string, info fs.FileInfo) error) error {
	return filepath.WalkDir(t.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(t.dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return f(filepath.ToSlash(filepath.Join(top, rel)), path, info)
	})
}

// tarGz packs the tree below a directory named top.
func (t tree) tarGz(out, top string) (err error) {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, f.Close()) }()
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	err = t.walk(top, func(name, path string, info fs.FileInfo) error {
		h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: t.date, Uname: "root", Gname: "root", Format: tar.FormatGNU}
		if info.IsDir() {
			h.Name, h.Mode, h.Typeflag = name+"/", 0o755, tar.TypeDir
			return w.WriteHeader(h)
		}
		h.Typeflag, h.Size = tar.TypeReg, info.Size()
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		return copyFile(w, path)
	})
	return cmp.Or(err, w.Close(), z.Close())
}

// zip packs the tree below a directory named top; "" for none.
func (t tree) zip(out, top string) (err error) {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, f.Close()) }()
	w := zip.NewWriter(f)
	err = t.walk(top, func(name, path string, info fs.FileInfo) error {
		if info.IsDir() {
			return nil
		}
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: t.date}
		h.SetMode(info.Mode().Perm())
		to, err := w.CreateHeader(h)
		if err != nil {
			return err
		}
		return copyFile(to, path)
	})
	return cmp.Or(err, w.Close())
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
