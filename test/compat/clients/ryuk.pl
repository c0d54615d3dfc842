# Stands in for testcontainers' reaper (Ryuk), whose image is not ours to pull: takes filters, a line each, by TCP, and when the last
# client has gone and none has come back removes what they match, by the engine's socket.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

$| = 1;
my ($seconds) = ($ENV{RYUK_RECONNECTION_TIMEOUT} // '10s') =~ /^(\d+)s/;

sub ask {
    my ($method, $path) = @_;
    my $engine = IO::Socket::UNIX->new(Peer => '/var/run/docker.sock') or die "docker.sock: $!";
    print $engine "$method /v1.41$path HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";
    local $/;
    return scalar <$engine>;
}

sub remove {
    my ($filter) = @_;
    my ($name, $value) = split /=/, $filter, 2;
    my $query = qq({"$name":{"$value":true}});
    $query =~ s/([^A-Za-z0-9.:_-])/sprintf '%%%02X', ord $1/ge;
    for my $container (split /(?=\{"Id":)/, ask('GET', "/containers/json?all=1&filters=$query")) {
        next if $container !~ /^\{"Id":"(\w+)"/ or $container =~ /"org\.testcontainers\.ryuk":"true"/;
        ask('DELETE', "/containers/$1?force=1&v=1");
    }
    ask('DELETE', "/networks/$1") while ask('GET', "/networks?filters=$query") =~ /"Id":"(\w+)"/;
    ask('DELETE', "/volumes/$1") while ask('GET', "/volumes?filters=$query") =~ /"Name":"([\w.-]+)"/;
}

ask('GET', '/_ping') =~ /OK\s*$/ or die 'the engine does not answer';
my $listener = IO::Socket::INET->new(LocalPort => 8080, Listen => 5, ReuseAddr => 1) or die "listen: $!";
print "Started!\n";
my $clients = IO::Select->new($listener);
my %filters;
for (;;) {
    my @ready = $clients->can_read($clients->count > 1 ? undef : %filters ? $seconds : 60);
    last if !@ready;
    for my $ready (@ready) {
        if ($ready == $listener) {
            $clients->add(scalar $listener->accept);
        } elsif (sysread $ready, my $lines, 65536) {
            for my $filter ($lines =~ /[^\r\n]+/g) {
                $filters{$filter} = 1;
                print $ready "ACK\n";
                $ready->flush;
            }
        } else {
            $clients->remove($ready);
            close $ready;
        }
    }
}
remove($_) for keys %filters;
print "Removed\n";
