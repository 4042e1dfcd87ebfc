#ifndef _WIN32 /* Windows: a file of its own, later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "base/error.h"
#include "net/listen_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/*
 * The socket is bound under a temporary name beside the final one, given its mode and owner, made
 * to listen, and only then linked to the final name. link(2) fails if the name exists, so nothing
 * that appears meanwhile is replaced; and a name that refuses connections is stale for certain,
 * never a server that has bound and not yet listened.
 *
 * Two servers that start at once and find the same stale file must not remove each other's new one.
 * So removing is done under a lock of the folder (flock), after looking once more.
 */

static socklen_t make_unix_name(struct sockaddr_un *name, const char *path) {
  size_t length = strlen(path);
  memset(name, 0, sizeof *name);
  name->sun_family = AF_UNIX;
  memcpy(name->sun_path, path, length + 1);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
}

/*
 * How often to knock before a socket counts as stale. Linux says EAGAIN where the backlog is full; BSD
 * and macOS say ECONNREFUSED there as well, so a server under load needs a moment to let us in.
 */
#ifdef __linux__
enum { KNOCKS = 1 };
#else
enum { KNOCKS = WH_LISTEN_TRIES };
#endif

static void pause_briefly(void) {
  struct timespec pause = {0, 3000000}; /* 3 ms */
  nanosleep(&pause, NULL);
}

/* Tries to connect. 0, or an errno value. */
static int knock(const char *path) {
  struct sockaddr_un name;
  socklen_t length = make_unix_name(&name, path);
  int fd = wh_listen_open_socket(AF_UNIX);
  if (fd < 0) return errno;
  int result;
  /* The socket does not block, so a full backlog (EAGAIN) does not hold us up. */
  do {
    result = connect(fd, (const struct sockaddr *)&name, length);
  } while (result != 0 && errno == EINTR);
  int system_error = result == 0 ? 0 : errno;
  wh_listen_close_fd(fd);
  return system_error;
}

typedef enum occupant {
  OCCUPANT_NONE,
  OCCUPANT_STALE,  /* a socket file that nobody listens on */
  OCCUPANT_REFUSED /* whatever it is, it stays; the message says why */
} occupant;

/* Looks at what stands at the endpoint's path. *error is set if it is refused. */
static occupant examine(const wh_listen_attempt *at, int *error) {
  const char *path = at->endpoint->path;
  struct stat status;
  if (lstat(path, &status) != 0) {
    if (errno == ENOENT) return OCCUPANT_NONE; /* or the folder is missing: bind will say so */
    *error = wh_listen_fail_system(at, NULL);
    return OCCUPANT_REFUSED;
  }
  if (!S_ISSOCK(status.st_mode)) {
    *error = wh_listen_fail(at, WH_ERR_ADDRESS_IN_USE, "a file that is no socket is in the way");
    return OCCUPANT_REFUSED;
  }
  int answer = knock(path);
  for (int i = 1; i < KNOCKS && answer == ECONNREFUSED; i++) {
    pause_briefly();
    answer = knock(path);
  }
  switch (answer) {
  case ECONNREFUSED: return OCCUPANT_STALE;
  case ENOENT: return OCCUPANT_NONE; /* gone since lstat */
  case 0:
  case EAGAIN: /* its backlog is full */
  case EINPROGRESS:
  case EPROTOTYPE: /* a datagram socket */
    errno = EADDRINUSE;
    *error = wh_listen_fail(at, WH_ERR_ADDRESS_IN_USE, "somebody listens there already");
    return OCCUPANT_REFUSED;
  default:
    errno = answer;
    *error = wh_listen_fail_system(at, "cannot find out whether somebody listens there");
    return OCCUPANT_REFUSED;
  }
}

/* The folder's part of a path with its last "/". */
static size_t folder_length(const char *path) { return (size_t)(strrchr(path, '/') - path) + 1; }

/*
 * Locks the path's folder against other windhovers, for as long as the descriptor is open. -1 if
 * that cannot be had within about 100 ms: the folder is not readable, its file system has no locks,
 * or somebody sits on the lock. We go on without it then; it only closes a gap of microseconds.
 */
static int lock_folder(const char *path) {
  char folder[sizeof((wh_endpoint *)0)->path];
  size_t length = folder_length(path);
  memcpy(folder, path, length);
  folder[length] = '\0';
  int fd;
  do {
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return -1;
  for (int i = 0; i < WH_LISTEN_TRIES; i++) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    if (errno != EWOULDBLOCK && errno != EINTR) break;
    pause_briefly();
  }
  wh_listen_close_fd(fd);
  return -1;
}

/* Removes the endpoint's file if it is stale still. 0 or a wh_error. */
static int remove_stale(const wh_listen_attempt *at) {
  int lock = lock_folder(at->endpoint->path);
  int error = WH_OK;
  if (examine(at, &error) == OCCUPANT_STALE && unlink(at->endpoint->path) != 0 && errno != ENOENT) {
    error = wh_listen_fail_system(at, "cannot remove the socket file that nobody listens on");
  }
  wh_listen_close_fd(lock);
  return error;
}

/* A number that another process or thread will hardly have at the same time. */
static uint64_t some_number(void) {
  static _Thread_local uint64_t counter;
  struct timespec time = {0, 0};
  clock_gettime(CLOCK_MONOTONIC, &time);
  uint64_t number = (uint64_t)time.tv_nsec ^ (uint64_t)time.tv_sec << 30 ^
                    (uint64_t)getpid() << 20 ^ (uint64_t)(uintptr_t)&counter;
  number = (number + ++counter) * 0x9e3779b97f4a7c15U; /* the golden ratio: spreads the bits */
  return number ^ number >> 29;
}

/*
 * A name in the same folder: the path with a suffix, or, where that is too long, other characters
 * in place of the file's name. Never longer than a path may be.
 */
static void make_temporary(const char *path, char *out, size_t size) {
  static const char characters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  enum { SUFFIX = 8 };
  size_t length = strlen(path);
  size_t random = SUFFIX;
  if (length + 1 + SUFFIX < size) {
    memcpy(out, path, length);
    out[length++] = '.';
  } else {
    length = folder_length(path);
    memcpy(out, path, length);
    if (size - 1 - length < random) random = size - 1 - length;
  }
  uint64_t number = some_number();
  for (size_t i = 0; i < random; i++) {
    out[length++] = characters[number % (sizeof characters - 1)];
    number /= sizeof characters - 1;
  }
  out[length] = '\0';
}

/*
 * Sets mode and owner of our socket file, never following a link that somebody put in its place.
 * The mode first: it is no longer ours to set once the file has another owner.
 */
static int set_permissions(const wh_listen_attempt *at, const char *file) {
  const wh_endpoint *endpoint = at->endpoint;
  if (endpoint->unix_mode >= 0) {
    mode_t mode = (mode_t)endpoint->unix_mode;
    int result = fchmodat(AT_FDCWD, file, mode, AT_SYMLINK_NOFOLLOW);
    if (result != 0 && (errno == ENOTSUP || errno == EOPNOTSUPP || errno == ENOSYS)) {
      result = chmod(file, mode); /* a C library that cannot */
    }
    if (result != 0) return wh_listen_fail_system(at, "cannot set the mode");
  }
  if (endpoint->unix_uid >= 0 || endpoint->unix_gid >= 0) {
    uid_t uid = endpoint->unix_uid >= 0 ? (uid_t)endpoint->unix_uid : (uid_t)-1;
    gid_t gid = endpoint->unix_gid >= 0 ? (gid_t)endpoint->unix_gid : (gid_t)-1;
    if (lchown(file, uid, gid) != 0) return wh_listen_fail_system(at, "cannot set the owner");
  }
  return WH_OK;
}

/* Gives the file its final name, if nothing has it. 0, or -1 and errno: EEXIST if something has. */
static int publish(const char *temporary, const char *path) {
  if (link(temporary, path) == 0) {
    if (unlink(temporary) == 0) return 0;
    int system_error = errno;
    unlink(path); /* back to where we were; the caller removes the other */
    errno = system_error;
    return -1;
  }
  if (errno != EPERM && errno != ENOTSUP && errno != EOPNOTSUPP && errno != ENOSYS &&
      errno != EMLINK) {
    return -1;
  }
  /* A file system without hard links, or a kernel that lets only the owner make them. */
  struct stat status;
  if (lstat(path, &status) == 0) {
    errno = EEXIST;
    return -1;
  }
  return errno == ENOENT ? rename(temporary, path) : -1;
}

/* Binds a socket under a temporary name and makes it ready to be published. */
static int bind_temporary(const wh_listen_attempt *at, char *temporary, size_t size) {
  int fd = wh_listen_open_socket(AF_UNIX);
  if (fd < 0) return wh_listen_fail_system(at, NULL);
  int result;
  for (int i = 0;; i++) {
    struct sockaddr_un name;
    make_temporary(at->endpoint->path, temporary, size);
    socklen_t length = make_unix_name(&name, temporary);
    if (strcmp(temporary, at->endpoint->path) != 0) {
      result = bind(fd, (const struct sockaddr *)&name, length);
    } else { /* a short name can come out the same */
      errno = EADDRINUSE;
      result = -1;
    }
    if (result == 0 || errno != EADDRINUSE || i + 1 >= WH_LISTEN_TRIES) break;
  }
  if (result != 0) {
    int error = wh_listen_fail_system(at, NULL);
    wh_listen_close_fd(fd);
    return error;
  }
  at->out->fds[0] = fd;
  at->out->count = 1;
  at->out->bound[0].family = WH_ADDRESS_UNIX;
  int error = set_permissions(at, temporary);
  if (error != WH_OK) return error;
  struct stat status;
  if (listen(fd, at->endpoint->backlog) != 0 || lstat(temporary, &status) != 0) {
    return wh_listen_fail_system(at, NULL);
  }
  at->out->unix_device = (uint64_t)status.st_dev;
  at->out->unix_inode = (uint64_t)status.st_ino;
  return WH_OK;
}

static int publish_at_path(const wh_listen_attempt *at, const char *temporary) {
  for (int i = 0; i < WH_LISTEN_TRIES; i++) {
    if (publish(temporary, at->endpoint->path) == 0) return WH_OK;
    if (errno != EEXIST) return wh_listen_fail_system(at, NULL);
    int error = remove_stale(at);
    if (error != WH_OK) return error;
  }
  errno = EADDRINUSE;
  return wh_listen_fail(at, WH_ERR_ADDRESS_IN_USE, "others keep creating that file");
}

int wh_listen_unix(const wh_listen_attempt *at) {
  const char *path = at->endpoint->path;
  size_t size = sizeof((struct sockaddr_un *)0)->sun_path;
  if (size > sizeof at->endpoint->path) size = sizeof at->endpoint->path;
  if (path[0] != '/' || !memchr(path, '\0', size) || path[strlen(path) - 1] == '/') {
    errno = EINVAL;
    return wh_listen_fail(at, WH_ERR_ADDRESS_INVALID,
                          "the path is not absolute, no file's, or too long");
  }
  /* First without leaving a trace: the usual reasons to refuse. */
  int error = WH_OK;
  if (examine(at, &error) == OCCUPANT_REFUSED) return error;

  char temporary[sizeof at->endpoint->path];
  error = bind_temporary(at, temporary, size);
  if (error == WH_OK) error = publish_at_path(at, temporary);
  if (error != WH_OK) {
    int system_error = errno;
    if (at->out->count > 0) unlink(temporary);
    wh_listen_close_all(at->out);
    errno = system_error;
    return error;
  }
  at->out->unix_socket = 1;
  memcpy(at->out->unix_path, path, strlen(path) + 1);
  return WH_OK;
}

void wh_listen_remove_unix(const wh_listening *listening) {
  struct stat status;
  if (lstat(listening->unix_path, &status) == 0 && S_ISSOCK(status.st_mode) &&
      (uint64_t)status.st_dev == listening->unix_device &&
      (uint64_t)status.st_ino == listening->unix_inode) {
    unlink(listening->unix_path); /* if it fails, the next server finds a stale file */
  }
}

#endif
