//! Relative paths start from the folder of the configuration file, wherever the process was started.

use std::path::{Path, PathBuf};

use super::Config;

impl Config {
    /// Makes every path absolute, starting from `base`.
    pub fn resolve(&mut self, base: &Path) {
        for path in self.files_mut() {
            *path = base.join(&*path);
        }
    }

    fn files_mut(&mut self) -> Vec<&mut PathBuf> {
        let https = &mut self.https;
        let mut files = vec![&mut self.store.path, &mut https.cert, &mut https.key];
        files.extend(self.store.password_file.iter_mut().chain(self.store.ca.iter_mut()));
        files.extend(https.client_ca.iter_mut().chain(https.crl.iter_mut()));
        files.extend(&mut self.validation.packages);
        files.extend(self.index.weights.as_mut());
        for tls in self.mllp.iter_mut().filter_map(|listener| listener.tls.as_mut()) {
            files.extend([&mut tls.cert, &mut tls.key]);
            files.extend(tls.client_ca.as_mut());
        }
        for tls in self.destination.iter_mut().filter_map(|destination| destination.tls.as_mut()) {
            files.push(&mut tls.ca);
            files.extend(tls.cert.iter_mut().chain(tls.key.iter_mut()));
        }
        files
    }
}
