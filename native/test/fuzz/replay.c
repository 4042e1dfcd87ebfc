/*
 * Stands in for libFuzzer where that is not there: gives a fuzz target every file of the folders named
 * on the command line, once. So the seed corpus is a test of every build, sanitized ones first of all.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
  FILE *file = fopen(path, "rb");
  struct stat status;
  uint8_t *data;
  size_t size;

  if (file == NULL || fstat(fileno(file), &status) != 0) {
    perror(path);
    if (file != NULL) fclose(file);
    return -1;
  }
  size = (size_t)status.st_size;
  /* Exactly as large as the input, so that reading past its end is seen. */
  data = malloc(size > 0 ? size : 1);
  if (data == NULL || fread(data, 1, size, file) != size) {
    perror(path);
    free(data);
    fclose(file);
    return -1;
  }
  fclose(file);
  LLVMFuzzerTestOneInput(data, size);
  free(data);
  return 0;
}

/* The number of files replayed, or -1. */
static int replay_folder(const char *path) {
  DIR *folder = opendir(path);
  struct dirent *entry;
  int count = 0;

  if (folder == NULL) {
    perror(path);
    return -1;
  }
  while (count >= 0 && (entry = readdir(folder)) != NULL) {
    char file[4096];
    if (entry->d_name[0] == '.') continue;
    if (snprintf(file, sizeof file, "%s/%s", path, entry->d_name) >= (int)sizeof file ||
        replay_file(file) != 0) {
      count = -1;
    } else {
      count++;
    }
  }
  closedir(folder);
  return count;
}

int main(int argc, char **argv) {
  int total = 0;
  for (int i = 1; i < argc; i++) {
    int count = replay_folder(argv[i]);
    if (count < 0) return 1;
    total += count;
  }
  printf("%d inputs replayed\n", total);
  return total > 0 ? 0 : 1;
}
