/* inotify events in containers for what others do to shared files (docs/adr/0012-changes-made-elsewhere.md). */
#ifndef CAISSON_SHARE_CHANGES_H
#define CAISSON_SHARE_CHANGES_H

/* More processors than this are not looked at. */
#define SHARE_CHANGES_MAX_PROBES 64

/* Once, at boot, so that it is part of the template: has the kernel tell when somebody watches a file. */
void share_changes_prepare(void);
/* Descriptors that tell of it, which the pump keeps; the count. */
int share_changes_descriptors(const int **descriptors);
/* In the pump's process: starts to tell the file server of watches, and to do again what it tells. The probes are those of
 * share_changes_descriptors(), which are the `count` descriptors from `first` on by now. */
void share_changes_start(int first, int count);

#endif
