//! The links between nodes, which can be cut and slowed down. Only with `proxied`.

use std::time::Duration;

use super::Cluster;
use crate::Proxy;

impl Cluster {
    /// Cuts one direction: nothing that `from` sends reaches `to`. The other direction is not touched.
    pub fn cut(&self, from: u32, to: u32) {
        self.set_cut(from, to, true);
    }

    /// Heals one direction.
    pub fn heal(&self, from: u32, to: u32) {
        self.set_cut(from, to, false);
    }

    /// Cuts both directions between two nodes.
    pub fn cut_both(&self, one: u32, other: u32) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Cuts a node off from all others, both ways. Clients still reach it.
    pub fn isolate(&self, id: u32) {
        self.others(id).iter().for_each(|other| self.cut_both(id, *other));
    }

    /// Cuts all links between two sides.
    pub fn partition(&self, one_side: &[u32], other_side: &[u32]) {
        for one in one_side {
            other_side.iter().for_each(|other| self.cut_both(*one, *other));
        }
    }

    /// Heals all links. What was sent meanwhile arrives late.
    pub fn heal_all(&self) {
        for proxy in self.proxies.values() {
            proxy.cut_forward(false);
            proxy.cut_backward(false);
            proxy.delay(Duration::ZERO);
        }
    }

    /// Breaks the connections between two nodes: both notice, and what was under way is lost.
    pub fn reset_connections(&self, one: u32, other: u32) {
        self.proxy(one, other).reset();
        self.proxy(other, one).reset();
    }

    /// Everything between two nodes takes so long each way, until [`Self::heal_all`].
    pub fn slow_down(&self, one: u32, other: u32, delay: Duration) {
        self.proxy(one, other).delay(delay);
        self.proxy(other, one).delay(delay);
    }

    fn set_cut(&self, from: u32, to: u32, cut: bool) {
        // What `from` sends goes forward on the connections that it opened, and back on those that it took.
        self.proxy(from, to).cut_forward(cut);
        self.proxy(to, from).cut_backward(cut);
    }

    /// The link that `from` opens to `to`.
    pub fn proxy(&self, from: u32, to: u32) -> &Proxy {
        let proxy = self.proxies.get(&(from, to));
        proxy.unwrap_or_else(|| panic!("there is no proxy from {from} to {to}: set Options::proxied"))
    }

    fn others(&self, id: u32) -> Vec<u32> {
        self.ids().into_iter().filter(|other| *other != id).collect()
    }
}
