/* Kernel modules: those of the boot, and those the kernel asks for later. */
#ifndef CAISSON_MODPROBE_H
#define CAISSON_MODPROBE_H

/* Loads everything in /boot-modules, in the order of the names. */
void load_boot_modules(void);
/* Mounts /extra.sqsh on /extra (modules, ps). Missing is no error. */
void mount_extra(void);
/* Loads one of those and what it needs. Returns 0, also when it is loaded already, or -errno. */
int load_module(const char *name);
/* The program the kernel runs as /sbin/modprobe. */
int modprobe_main(int argc, char **argv);

#endif
