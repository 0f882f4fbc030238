# Passes the stream of an agent on, and does with it what MODE says:
#
#   pass    does nothing with it
#   count   writes the number of bytes for the agent, and of pieces of files, to FILE
#   twice   repeats each event at once, and the first one after each other
#   late    holds all frames back for a while, once a role has ended
#   clock   sets the clock of the node forward by a year
#
#   perl relay.pl MODE FILE COMMAND…
use strict;
use warnings;
use IPC::Open2;

my ($mode, $file, @command) = @ARGV;
my $agent = open2(my $from, my $to, @command);
binmode $_ for $from, $to, *STDIN, *STDOUT;
my ($first, $held) = ('', 0);

sub say_on { my $rest = shift; while (length $rest) { my $n = syswrite(STDOUT, $rest) or exit; substr($rest, 0, $n) = '' } }

sub frame {
    my ($line, $bytes) = @_;
    $line =~ s/"clock":"(\d{4})/'"clock":"' . ($1 + 1)/e if $mode eq 'clock';
    if ($mode eq 'late' && !$held && $line =~ /"event":"ended"/) { $held = 1; sleep 4 }
    say_on("$line\n$bytes");
    return unless $mode eq 'twice' && $line =~ /"say":"event"/;
    $first ||= $line;
    say_on("$line\n$first\n");
}

my ($in, $out, $sent, $pieces) = ('', '', 0, 0);
while (1) {
    my $ready = '';
    vec($ready, $_, 1) = 1 for fileno($from), defined $to ? fileno(STDIN) : ();
    select($ready, undef, undef, undef);
    if (defined $to && vec($ready, fileno(STDIN), 1)) {
        if (sysread(STDIN, my $some, 65536)) {
            $sent += length $some;
            $pieces += () = $some =~ /"ask":"blob"/g;
            while (length $some) { my $n = syswrite($to, $some) or last; substr($some, 0, $n) = '' }
        } else {
            close $to;
            undef $to;
        }
    }
    if (vec($ready, fileno($from), 1)) {
        last unless sysread($from, $out, 65536, length $out);
        while ($out =~ /^([^\n]*)\n/) {
            my $line = $1;
            my $bytes = $line =~ /,"bytes":(\d+)\}$/ ? $1 : 0;
            last if length($out) < length($line) + 1 + $bytes;
            frame($line, substr($out, length($line) + 1, $bytes));
            substr($out, 0, length($line) + 1 + $bytes) = '';
        }
    }
}
if ($mode eq 'count') {
    open(my $counted, '>>', $file) or die $!;
    print $counted "$sent $pieces\n";
}
waitpid($agent, 0);
exit $? >> 8;
