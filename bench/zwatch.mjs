import { FsResourceAnalyzer } from 'kube-volume-metrics';
import { statsProvider, volumesOf, floorList } from './round/layout.mjs';
import fs from 'node:fs'; import {execFileSync,spawn,execFile} from 'node:child_process';
const node={root:'/tmp/kvm/r2/node',isMounted:true};
const v=volumesOf(node,25);
fs.writeFileSync('/tmp/kvm/r2/list',floorList(v));
const b=new FsResourceAnalyzer(statsProvider(v,true),{walkShare:1});
const c=new FsResourceAnalyzer(statsProvider(v.filter(x=>!x.name.endsWith('empty-dir')),true),{walkShare:1});
for(let i=0;i<20;i++) await c.calculate();
for(let i=0;i<3;i++) await b.calculate();
if(process.env.WARM){const w=new FsResourceAnalyzer(statsProvider(v.filter(x=>!x.name.endsWith("empty-dir")),true),{walkShare:1,periodMs:100});w.start();await new Promise(r=>setTimeout(r,Number(process.env.WARM)));await w.stop();}
const a=new FsResourceAnalyzer(statsProvider(v,true),{periodMs:6000});a.start();
await new Promise(r=>setTimeout(r,5000));
const st=()=>{const o={main:0,walk:0,other:0};for(const t of fs.readdirSync('/proc/self/task')){try{const s=Number(fs.readFileSync(`/proc/self/task/${t}/schedstat`,'utf8').split(' ')[0])/1e6;const st=fs.readFileSync(`/proc/self/task/${t}/stat`,'latin1');const n=st.slice(st.lastIndexOf(')')+2).split(' ')[16];o[t==process.pid?'main':n=='19'?'walk':'other']+=s;}catch{}}return o};
const perf=process.argv[2]?spawn('perf',['record','-g','-F','2000','-o','/tmp/kvm/r2/w.data','-p',String(process.pid)],{stdio:'ignore'}):null;
for(let k=0;k<2;k++){
let fl=0;execFile('/tmp/kvm/r2/bin/floor',['/tmp/kvm/r2/list','1','19','1',String(Math.floor(10800/v.length))],{encoding:'utf8'},(e,o)=>{fl=Number(o.trim().split(' ')[3])});
const m=st(),c0=process.cpuUsage();await new Promise(r=>setTimeout(r,12000));const d=process.cpuUsage(c0),m2=st();
console.log('own',(d.user+d.system)/1000,'floor',fl,'main',m2.main-m.main,'walk(alive)',m2.walk-m.walk,'other',m2.other-m.other);}
perf?.kill('SIGINT');await a.stop();process.exit();
