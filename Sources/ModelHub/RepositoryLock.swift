import CLibrary

/// Keeps other processes from changing a repository's folder; the system lets go of it when the process ends.
final class RepositoryLock {
  private let descriptor: Int32

  /// - Throws: `HubError` where another process holds it.
  init(folder: String, repository: String) throws(HubError) {
    let path = folder + "/.sluice/lock"
    while true {
      try StoredFile.makeFolder(folder + "/.sluice")
      let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else { throw StoredFile.failure(path, "cannot be written") }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        let isHeld = errno == EWOULDBLOCK
        let error = isHeld ? HubError(.locked(repository: repository)) : StoredFile.failure(path, "cannot be locked")
        close(descriptor)
        throw error
      }
      // Whoever held it may have removed the folder: then this is the lock of nothing.
      var held = stat()
      var standing = stat()
      if fstat(descriptor, &held) == 0, stat(path, &standing) == 0, held.st_ino == standing.st_ino {
        self.descriptor = descriptor
        return
      }
      close(descriptor)
    }
  }

  deinit { close(descriptor) }
}
