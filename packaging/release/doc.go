// Command release builds everything that a release has, on Linux: Debian and
// RPM packages, tarballs, the macOS application, the Windows installer, the
// licences of what is linked in, and SHA256SUMS. `make packages` runs it.
//
//  1. build.go compiles melon and melon-tray for every platform.
//  2. docs.go has the new melon write manual pages and completions.
//  3. licence.go gathers the texts of every module that is linked in.
//  4. linux.go, macos.go and windows.go lay the files out and pack them.
//
// The same commit gives the same bytes: every time stamp is the commit's (or
// SOURCE_DATE_EPOCH), archives are sorted and owned by root, and programs carry
// neither paths nor build IDs. `make reproducible` builds twice and compares.
package main
